"use strict";
// Presses a button without leaving the page, and waits for the event that it makes. Without this file the form works, too.
(() => {
  const PATIENCE = 15000, PAUSE = 200; // milliseconds
  const form = document.getElementById("failures");
  const result = document.getElementById("result");
  const last = () => document.getElementById("last");
  const pause = () => new Promise((resolve) => setTimeout(resolve, PAUSE));
  let busy = false;

  function say(text) {
    result.textContent = text;
  }

  function leadToLast() {
    const link = document.createElement("a");
    link.href = "#last";
    link.textContent = "See it";
    result.append(" ", link);
  }

  function showRedactions() {
    const payload = document.querySelector(".payload");
    const mark = payload && payload.querySelector("mark");
    if (mark) payload.scrollTop += mark.getBoundingClientRect().top - payload.getBoundingClientRect().top - payload.clientHeight / 6;
  }

  async function fresh() {
    const answer = await fetch(location.pathname, { headers: { Accept: "text/html" }, cache: "no-store" });
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  }

  async function letFail(button) {
    const title = button.querySelector(".title").textContent;
    const before = last().dataset.event;
    say(`${title}: waiting for what leaves …`);
    const body = new URLSearchParams(new FormData(form));
    body.set("type", button.value);
    const answer = await fetch(location.pathname, { method: "POST", body, headers: { Accept: "application/json" } });
    if (answer.status >= 400 && answer.status < 500) {
      say(`${title}: the server refused to try (${answer.status}). Reload the page.`);
      return;
    }
    if (button.dataset.silent) {
      say(`${title}: answered with ${answer.status}. ${button.dataset.silent}, so nothing left.`);
      return;
    }
    for (const end = Date.now() + PATIENCE; Date.now() < end; await pause()) {
      const page = await fresh();
      const event = page.getElementById("last").dataset;
      if (event.event !== before) {
        for (const id of ["last", "status"]) document.getElementById(id).replaceWith(page.getElementById(id));
        showRedactions();
        const count = Number(event.redacted);
        const fate = event.failed ? `did not arrive: ${event.failed}` : `left, ${count} value${count === 1 ? "" : "s"} redacted`;
        say(`${title}: answered with ${answer.status}. Event ${event.event} ${fate}.`);
        leadToLast();
        return;
      }
    }
    say(`${title}: answered with ${answer.status}. No event has left this process so far. Can the tracker be reached? The note below the buttons says what else it can be.`);
  }

  showRedactions();
  form.addEventListener("submit", async (submission) => {
    const button = submission.submitter;
    submission.preventDefault();
    if (busy) return;
    busy = true;
    button.setAttribute("aria-busy", "true");
    try {
      await letFail(button);
    } catch (error) {
      say(`The server does not answer (${error.message}). Is it still running?`);
    } finally {
      button.removeAttribute("aria-busy");
      busy = false;
    }
  });
})();
