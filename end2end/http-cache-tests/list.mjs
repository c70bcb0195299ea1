// Prints which tests there are: `suite id kind` a line, without those for browsers.
import surrogate from './node_modules/http-cache-tests/tests/surrogate-control.mjs'
import tests from './node_modules/http-cache-tests/tests/index.mjs'

for (const suite of [...tests, surrogate]) {
  for (const test of suite.tests) {
    if (test.browser_only !== true) console.log(suite.id, test.id, test.kind ?? 'required')
  }
}
