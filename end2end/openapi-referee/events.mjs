// Takes files of usage events, one JSON a line; says whether each fits docs/usage-event.schema.json, and exits with 1 if one
// does not. The control: each event without one of its required fields, or with one too many, has to be refused.
import { readFileSync } from "node:fs";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const ajv = new Ajv({ allErrors: true, strict: true, strictRequired: false });
addFormats(ajv);
const schema = JSON.parse(readFileSync(new URL("../../docs/usage-event.schema.json", import.meta.url)));
const fits = ajv.compile(schema);
const wrong = [];
let events = 0;
let broken = 0;
for (const file of process.argv.slice(2)) {
  for (const line of readFileSync(file, "utf8").split("\n").filter(Boolean)) {
    const event = JSON.parse(line);
    events += 1;
    if (!fits(event)) wrong.push(`${line}\n  ${ajv.errorsText(fits.errors)}`);
    const { required } = schema.properties.data;
    const field = required[events % required.length];
    const { [field]: _, ...without } = event.data;
    for (const data of [without, { ...event.data, surplus: 1 }, { ...event.data, [field]: {} }]) {
      broken += 1;
      if (fits({ ...event, data })) wrong.push(`ALLOWED although ${field} is broken: ${line}`);
    }
  }
}
wrong.slice(0, 10).forEach((line) => console.log(line));
console.log(`${events} events, ${broken} broken ones, ${wrong.length} misjudged`);
process.exit(events > 0 && wrong.length === 0 ? 0 : 1);
