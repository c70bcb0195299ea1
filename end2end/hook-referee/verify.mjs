// Takes files of messages that a receiver got, one JSON a line: `secrets` of which each has to accept it, `headers` and `body`. Exits
// with 1 if the library of Standard Webhooks believes one less than that. The controls: another secret, a changed body, another id and a
// message that is an hour old have to be refused.
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

const wrong = [];
let believed = 0;
let refused = 0;
const clock = Date.now;
const at = (seconds, work) => {
  Date.now = () => seconds * 1000;
  try {
    work();
    return true;
  } catch {
    return false;
  } finally {
    Date.now = clock;
  }
};

for (const file of process.argv.slice(2)) {
  for (const line of readFileSync(file, "utf8").split("\n").filter(Boolean)) {
    const { secrets, headers, body } = JSON.parse(line);
    const sent = Number(headers["webhook-timestamp"]);
    for (const secret of secrets) {
      const check = (text, with_, seconds = sent) => at(seconds, () => new Webhook(secret).verify(text, with_));
      if (check(body, headers)) believed += 1;
      else wrong.push(`REFUSED: ${line}`);
      const other = new Webhook(`whsec_${Buffer.alloc(32, 7).toString("base64")}`);
      const controls = [
        at(sent, () => other.verify(body, headers)),
        check(`${body} `, headers),
        check(body, { ...headers, "webhook-id": "msg_other" }),
        check(body, headers, sent + 3600),
      ];
      refused += controls.filter((allowed) => !allowed).length;
      if (controls.some(Boolean)) wrong.push(`BELIEVED although it was changed: ${line}`);
    }
  }
}
wrong.slice(0, 10).forEach((line) => console.log(line));
console.log(`${believed} believed, ${refused} forged ones refused, ${wrong.length} misjudged`);
process.exit(believed > 0 && wrong.length === 0 ? 0 : 1);
