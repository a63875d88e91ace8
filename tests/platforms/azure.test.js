// deploy/azure against the models of Azure's own client: no key that they do not know, none missing that
// they require, each of its type.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { parse } from "yaml";
import { deployed, ours } from "./deployed.js";

// Tables that the client is made with; the package does not export them.
const MODELS = createRequire(import.meta.url)(
    ours("tests/platforms/node_modules/@azure/arm-appcontainers/dist/commonjs/models/mappers.js"),
);

const PRIMITIVES = { String: "string", Number: "number", Boolean: "boolean" };

function check(value, type, at) {
    if (type.name === "Composite") checkKeys(value, type, at);
    else if (type.name === "Sequence") {
        assert.ok(Array.isArray(value), `${at}: a list`);
        value.forEach((item, i) => check(item, type.element.type, `${at}.${i}`));
    } else if (type.name === "Dictionary")
        Object.entries(value).forEach(([key, item]) => check(item, type.value.type, `${at}.${key}`));
    else {
        assert.ok(PRIMITIVES[type.name], `${at}: ${type.name}`);
        assert.equal(typeof value, PRIMITIVES[type.name], `${at}: ${type.name}`);
    }
}

// What Azure calls properties.x is a property of the object itself to its client.
function checkKeys(value, { className }, at) {
    const { properties = {}, ...rest } = value;
    const flat = { ...rest };
    for (const [key, inner] of Object.entries(properties)) flat[`properties.${key}`] = inner;
    const fields = Object.values(MODELS[className].type.modelProperties);
    for (const [key, inner] of Object.entries(flat)) {
        const field = fields.find(({ serializedName }) => serializedName === key);
        assert.ok(field, `${at}.${key} is unknown`);
        if (key !== "type") assert.ok(!field.readOnly, `${at}.${key} is not to be set`);
        check(inner, field.type, `${at}.${key}`);
    }
    for (const field of fields)
        assert.ok(!field.required || field.serializedName in flat, `${at}.${field.serializedName} is missing`);
}

for (const [file, className] of [["app.yaml", "ContainerApp"], ["job.yaml", "Job"]]) {
    test(file, () => checkKeys(parse(deployed(`azure/${file}`)), { className }, className));
}

test("what is wrong is noticed", () => {
    const text = deployed("azure/app.yaml");
    for (const [right, wrong, said] of [
        ["minReplicas: 2", "leastReplicas: 2", /leastReplicas is unknown/],
        ["minReplicas: 2", 'minReplicas: "2"', /minReplicas: Number/],
        ["port: 9464", "prot: 9464", /prot is unknown/],
        ["location: LOCATION", "", /location is missing/],
    ]) {
        assert.ok(text.includes(right), right);
        const app = parse(text.replace(right, wrong));
        assert.throws(() => checkKeys(app, { className: "ContainerApp" }, "app"), said);
    }
});
