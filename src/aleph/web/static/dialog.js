// Asks the user a question; the answer is the value of the button that was pressed.

import { $ } from "./panel.js";

/** `answers` are [value, label]; Escape gives the last one. */
export function ask(title, text, answers) {
  const dialog = $("ask");
  $("ask-title").textContent = title;
  $("ask-text").textContent = text;
  $("ask-buttons").replaceChildren(
    ...answers.map(([value, label], index) => {
      const button = document.createElement("button");
      Object.assign(button, { type: "submit", value, textContent: label });
      if (!index) button.className = "primary";
      return button;
    }),
  );
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue || answers.at(-1)[0]), {
      once: true,
    });
  });
}
