// deploy/aws against CloudFormation's resource specification: no property that it does not know, none
// missing that it requires, each of its type.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { parse } from "yaml";
import { deployed } from "./deployed.js";

const { ResourceTypes, PropertyTypes } = createRequire(import.meta.url)("@aws-cdk/cfnspec").specification();

const short = (name, kind) => ({
    tag: `!${name}`,
    collection: kind,
    resolve: (value) => ({ [name === "Ref" ? name : `Fn::${name}`]: value.toJSON?.() ?? value }),
});
const customTags = [
    ...["Ref", "Sub", "GetAtt"].map((name) => short(name)),
    ...["If", "Not", "Equals"].map((name) => short(name, "seq")),
];

const isFunction = (value) =>
    value !== null && typeof value === "object" && /^(Ref|Fn::\w+)$/.test(Object.keys(value)[0] ?? "");

const PRIMITIVES = {
    String: (value) => typeof value === "string",
    Integer: Number.isInteger,
    Double: Number.isFinite,
    Boolean: (value) => typeof value === "boolean",
    Json: (value) => typeof value === "object",
};

// Both ways of an If; of other functions nothing is known before they are called.
function check(value, spec, type, at) {
    if (isFunction(value)) (value["Fn::If"] ?? []).slice(1).forEach((way) => check(way, spec, type, at));
    else if (spec.PrimitiveType) assert.ok(PRIMITIVES[spec.PrimitiveType](value), `${at}: ${spec.PrimitiveType}`);
    else if (spec.Type === "List" || spec.Type === "Map") {
        assert.equal(Array.isArray(value), spec.Type === "List", `${at}: ${spec.Type}`);
        const item = { PrimitiveType: spec.PrimitiveItemType, Type: spec.ItemType };
        Object.entries(value).forEach(([key, inner]) => check(inner, item, type, `${at}.${key}`));
    } else checkProperties(value, PropertyTypes[spec.Type === "Tag" ? "Tag" : `${type}.${spec.Type}`], type, at);
}

function checkProperties(values, { Properties }, type, at) {
    for (const [name, value] of Object.entries(values)) {
        assert.ok(Properties[name], `${at}.${name} is unknown`);
        check(value, Properties[name], type, `${at}.${name}`);
    }
    for (const [name, spec] of Object.entries(Properties))
        assert.ok(!spec.Required || name in values, `${at}.${name} is missing`);
}

function checkTemplate(text) {
    const { Resources } = parse(text, { customTags });
    for (const [name, { Type, Properties }] of Object.entries(Resources)) {
        assert.ok(ResourceTypes[Type], `${name}: ${Type}`);
        checkProperties(Properties, ResourceTypes[Type], Type, name);
    }
    return Object.keys(Resources);
}

for (const [file, resource] of [["template.yaml", "Schedule"], ["service.yaml", "Service"]]) {
    test(file, () => assert.ok(checkTemplate(deployed(`aws/${file}`)).includes(resource)));
}

test("what is wrong is noticed", () => {
    const text = deployed("aws/service.yaml");
    for (const [right, wrong, said] of [
        ["StopTimeout: 15", "StopTime: 15", /StopTime is unknown/],
        ["Interval: 30", "Interval: 30s", /Interval: Integer/],
        ["- Name: sweeper\n", "- Privileged: false\n", /Name is missing/],
        ["AWS::ECS::Service", "AWS::ECS::Daemon", /AWS::ECS::Daemon/],
        ["ValueFrom: !Ref QueuesParameterArn", "Value: !Ref QueuesParameterArn", /Value is unknown/],
    ]) {
        assert.ok(text.includes(right), right);
        assert.throws(() => checkTemplate(text.replace(right, wrong)), said);
    }
});
