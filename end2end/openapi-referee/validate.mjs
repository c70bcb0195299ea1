// Takes files, JSON or YAML; says of each whether it is a valid OpenAPI document, and exits with 1 if one is not.
// The judge is @seriousme/openapi-schema-validator: the official JSON Schemas of OpenAPI 3.0, 3.1 and 3.2, plus
// references that lead nowhere. It shares no code with the importer.
import { Validator } from "@seriousme/openapi-schema-validator";

const files = process.argv.slice(2);
if (files.length === 0) {
  console.error("usage: node validate.mjs FILE...");
  process.exit(2);
}
let invalid = 0;
for (const file of files) {
  const validator = new Validator();
  let errors;
  try {
    const result = await validator.validate(file);
    errors = result.valid ? undefined : result.errors;
    validator.resolveRefs(); // Throws where a reference leads nowhere.
  } catch (error) {
    errors = error.message;
  }
  if (errors === undefined) {
    console.log(`valid    ${validator.version}  ${file}`);
  } else {
    invalid += 1;
    console.log(`INVALID       ${file}`);
    console.log(typeof errors === "string" ? errors : JSON.stringify(errors, null, 2));
  }
}
console.log(`${files.length - invalid} valid, ${invalid} invalid`);
process.exit(invalid === 0 ? 0 : 1);
