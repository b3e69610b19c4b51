// The start card: what was left off, the photos of a folder, and samples.

import * as api from "./api.js";
import { $ } from "./panel.js";

const DONE = "done:"; // in front of the names of photos that were downloaded

function tile(title, picture, text, action) {
  const button = document.createElement("button");
  const image = document.createElement("img");
  button.type = "button";
  button.title = title;
  image.alt = "";
  if (picture) image.src = URL.createObjectURL(picture);
  button.append(image, text);
  button.addEventListener("click", action);
  return button;
}

/** Offer the samples; `open` gets the name, the photo and the mask of the chosen one. */
export async function showSamples(open) {
  for (const { name, title, credit } of await api.samples()) {
    const choose = async () =>
      open(`${name}.jpg`, ...(await Promise.all(["image", "mask"].map((part) => api.samplePart(name, part)))));
    $("samples").append(tile(credit, await api.samplePart(name, "thumbnail"), title, choose));
  }
}

/** Offer what other tabs have left; `open` gets the id of the chosen session. */
export async function showLeft(session, open) {
  const left = await session.others();
  $("left-off").hidden = !left.length;
  $("left").replaceChildren(
    ...left.map(({ id, name, thumb }) => {
      const item = document.createElement("div");
      const forget = document.createElement("button");
      Object.assign(forget, { type: "button", textContent: "Forget", className: "small" });
      forget.setAttribute("aria-label", `Forget ${name}`);
      forget.addEventListener("click", async () => {
        await session.forget(id);
        await showLeft(session, open);
      });
      item.append(tile(`Go on with ${name}`, thumb, name, () => open(id)), forget);
      return item;
    }),
  );
}

/** List the photos of the server's folder; `open` gets the name of the chosen one. */
export async function showFolder(open) {
  const photos = await api.photos();
  for (const list of document.querySelectorAll(".folder")) {
    list.closest("section").hidden = false;
    list.replaceChildren(
      ...photos.map(({ name }) => {
        const [item, button] = ["li", "button"].map((tag) => document.createElement(tag));
        Object.assign(button, { type: "button", textContent: name });
        button.dataset.name = button.title = name;
        button.addEventListener("click", () => open(name));
        item.append(button);
        return item;
      }),
    );
  }
  markFolder();
}

/** Say which photos of the folder are done and which is open. */
export function markFolder(open) {
  for (const button of document.querySelectorAll(".folder button")) {
    const { name } = button.dataset;
    const done = localStorage.getItem(DONE + name) !== null;
    button.classList.toggle("done", done);
    button.setAttribute("aria-label", done ? `${name}, done` : name);
    if (name === open) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

export function markDone(name) {
  if (document.querySelector(`.folder button[data-name="${CSS.escape(name)}"]`)) {
    localStorage.setItem(DONE + name, "1");
  }
}
