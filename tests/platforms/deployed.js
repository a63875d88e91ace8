// The files of the repository.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const ours = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
export const deployed = (path) => readFileSync(ours(`deploy/${path}`), "utf8");
