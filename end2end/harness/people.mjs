// What people do before a journey begins: get in, as a newcomer, a member or an operator.

export const password = "a long walk by the river";

/** Signs a new company up and confirms the address by the mail. */
export async function signUp(visitor, { company, name = "Nora Newcomer", email }) {
  await visitor.go("/sign-up");
  await fill(visitor, { company, name, email, password });
  await submit(visitor, "/do/sign-up");
  await visitor.go(await visitor.world.linkTo(email));
  if (new URL(visitor.page.url()).pathname === "/home") return;
  await fill(visitor, { password });
  await submit(visitor, "/do/verify");
}

/** Lets a member of the example in, by the invitation that `turnpike apply` made. */
export async function acceptInvitation(visitor, email, name = "Olivia Owner") {
  await visitor.go(visitor.world.invitation(email));
  await fill(visitor, { name, password });
  await submit(visitor, "/do/invitation");
}

/** Lets an operator in by the one-time link. */
export async function becomeOperator(visitor, name = "Oscar Operator") {
  await visitor.go(await visitor.world.operatorLink());
  await fill(visitor, { name, password });
  await submit(visitor, "/do/console/welcome");
}

async function fill(visitor, fields) {
  for (const [name, value] of Object.entries(fields)) {
    await visitor.page.locator(`input[name="${name}"]:not([type=hidden])`).fill(value);
  }
}

/** Presses the button of the form that goes to `action`, and waits for the next page. */
async function submit(visitor, action) {
  const button = visitor.page.locator(`form[action="${action}"] button[type=submit], form[action="${action}"] button:not([type])`);
  await Promise.all([visitor.page.waitForNavigation({ waitUntil: "networkidle" }), button.first().click()]);
}
