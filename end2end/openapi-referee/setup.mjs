// Takes set-up files; says of each whether docs/turnpike.schema.json allows it, and exits with 1 if it does not.
// With --reject, the other way round: every file has to be refused.
import { readFileSync } from "node:fs";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { parse } from "yaml";

const reject = process.argv.includes("--reject");
const files = process.argv.slice(2).filter((argument) => argument !== "--reject");
const ajv = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true });
addFormats(ajv);
const schema = JSON.parse(readFileSync(new URL("../../docs/turnpike.schema.json", import.meta.url)));
const check = ajv.compile(schema);
let wrong = 0;
for (const file of files) {
  const allowed = check(parse(readFileSync(file, "utf8")));
  if (allowed === reject) {
    wrong += 1;
    console.log(`${allowed ? "ALLOWED" : "REFUSED"}  ${file}`);
    if (!allowed) console.log(ajv.errorsText(check.errors, { separator: "\n" }));
  } else {
    console.log(`${allowed ? "allowed" : "refused"}  ${file}`);
  }
}
process.exit(files.length > 0 && wrong === 0 ? 0 : 1);
