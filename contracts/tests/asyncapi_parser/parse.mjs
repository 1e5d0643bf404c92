// Reads an AsyncAPI document (the first argument), and writes as JSON what AsyncAPI's own parser has to say about it:
// a list of {code, severity, message, path}, where severity 0 is an error, 1 a warning and 2 a remark.
import { readFile } from "node:fs/promises";
import { Parser } from "@asyncapi/parser";

const { diagnostics } = await new Parser().parse(await readFile(process.argv[2], "utf8"));
const told = diagnostics.map(({ code, severity, message, path }) => ({ code, severity, message, path: path.join("/") }));
console.log(JSON.stringify(told));
