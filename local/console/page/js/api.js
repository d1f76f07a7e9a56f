// Asking the server to do something. What cannot be done is an Error, with the server's own words.

export async function ask(path, body = {}) {
  return answer(fetch(`api/${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  }));
}

export async function look(path) {
  return answer(fetch(`api/${path}`));
}

async function answer(asked) {
  let response;
  try {
    response = await asked;
  } catch {
    throw new Error("The console does not answer: is python -m local still running?");
  }
  const told = await response.json();
  if (!response.ok) throw new Error(told.error);
  return told;
}
