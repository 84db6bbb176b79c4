// The page around a task: takes the answer from the frame, sends it, and goes on to the next page.
"use strict";

(() => {
  const task = document.body.dataset.task;
  const frame = document.getElementById("frame");
  const problem = document.getElementById("problem");
  let sending = false;

  const unreachable = "The server cannot be reached. Your marks are kept; try again in a moment.";

  // Resolves to nothing, or to a sentence saying why it did not work.
  async function post(path, body) {
    let response;
    try {
      response = await fetch(path, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-CSRF-Token": document.body.dataset.csrf },
        body: JSON.stringify(body),
        redirect: "error",
      });
    } catch {
      return unreachable;
    }
    if (response.ok) return undefined;
    const reply = await response.json().catch(() => ({}));
    return `Not saved: ${reply.error || `the server answered ${response.status}`}`;
  }

  function show(sentence) {
    problem.textContent = sentence || "";
    problem.hidden = !sentence;
  }

  // The frame has an origin of its own that nothing can name, so "*" is the only address there is.
  const tell = (message) => frame.contentWindow.postMessage(message, "*");

  async function save(answer) {
    if (sending) return;
    sending = true;
    const failure = await post(`${task}/answer`, { answer });
    sending = false;
    if (failure) {
      tell({ type: "bulkqa:failed", message: failure });
    } else {
      tell({ type: "bulkqa:saved" });
      location.replace("/");
    }
  }

  addEventListener("message", (event) => {
    if (event.source !== frame.contentWindow || typeof event.data !== "object" || event.data === null) return;
    if (event.data.type === "bulkqa:answer") save(event.data.answer);
    if (event.data.type === "bulkqa:ready") frame.focus();
  });

  for (const [id, path] of [["skip", `${task}/skip`], ["sign-out", "/sign-out"]]) {
    const button = document.getElementById(id);
    button.addEventListener("click", async () => {
      button.disabled = true;
      const failure = await post(path, {});
      button.disabled = false;
      show(failure);
      if (!failure) location.replace("/");
    });
  }
})();
