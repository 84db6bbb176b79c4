/*
 * A small stand-in for the crowd elements, so that a worker template also runs where their library cannot be had.
 *
 * It draws the elements that a crowd-form commonly holds, gathers one answer object from them, and hands that to the
 * page around the frame:
 *   to the parent    {type: "bulkqa:ready"}                    the elements are drawn
 *                    {type: "bulkqa:answer", answer: {...}}    once for each attempt to submit
 *   from the parent  {type: "bulkqa:saved"}                    the answer is kept
 *                    {type: "bulkqa:failed", message: "..."}   it is not: the form is as it was and can be sent again
 */
(() => {
  "use strict";
  if (customElements.get("crowd-form")) return;

  const TEXT = {
    submit: "Submit",
    saving: "Saving…",
    saved: "Saved",
    failed: "Your answer could not be saved. Please submit again.",
    alone: "This page stands alone, so there is nobody to take the answer.",
    instructions: "Instructions",
    dismiss: "Dismiss",
    picture: "Picture",
  };
  const STYLE = `
    :host { display: inline-block; font: inherit; color: inherit; } :host([hidden]) { display: none; }
    label { display: inline-flex; gap: 8px; align-items: center; min-height: 24px; cursor: pointer; }
    input[type=checkbox], input[type=radio] { width: 18px; height: 18px; margin: 0; flex: none; }
    .field { display: grid; gap: 4px; justify-items: start; cursor: auto; }
    .field input, textarea { font: inherit; padding: 6px 8px; min-width: 16em; max-width: 100%; box-sizing: border-box; }
    button { font: inherit; font-weight: 600; min-height: 36px; padding: 6px 14px; color: inherit; background: transparent;
      border: 1px solid currentColor; border-radius: 6px; cursor: pointer; }
    button.primary { min-height: 40px; padding: 6px 20px; color: #fff; background: #0b57b0; border-color: #0b57b0; }
    button[aria-selected=true] { border-bottom-width: 4px; } button:disabled { opacity: .55; cursor: default; }
    :focus-visible { outline: 3px solid #4c93e6; outline-offset: 2px; }
    .card img { display: block; width: 100%; } .card div { padding: 8px; font-weight: 600; }
    .card { border: 1px solid #7d8795; border-radius: 6px; overflow: hidden; }
    .alert { display: flex; gap: 12px; align-items: center; justify-content: space-between; padding: 8px 12px;
      border: 1px solid currentColor; border-left-width: 6px; border-radius: 6px; }`;
  const BLOCK = ":host { display: block; }";
  const isOn = (element, name) => element.hasAttribute(name) && element.getAttribute(name) !== "false";
  const emit = (element, type) => element.dispatchEvent(new Event(type, { bubbles: true }));

  class CrowdElement extends HTMLElement {
    /* `html` is always one of the literals below: what comes from a template is set as text or as a property. */
    draw(html, style = "") {
      this.attachShadow({ mode: "open", delegatesFocus: true }).innerHTML = `<style>${STYLE}${style}</style>${html}`;
    }
    part$(selector) { return this.shadowRoot.querySelector(selector); }
    /* A script may have set properties before the element was defined; they would hide the accessors for good. */
    adopt(...names) {
      for (const name of names.filter((each) => Object.hasOwn(this, each))) {
        const value = this[name];
        delete this[name];
        this[name] = value;
      }
    }
    nameInput(input) {
      if (this.textContent.trim() && !this.hasAttribute("aria-label")) return;
      const name = ["aria-label", "label", "placeholder", "value", "name"].map((each) => this.getAttribute(each)).find(Boolean);
      if (name) input.setAttribute("aria-label", name);
    }
    get name() { return this.getAttribute("name") || ""; }
    set name(name) { this.setAttribute("name", name); }
    get disabled() { return isOn(this, "disabled"); }
    set disabled(off) { this.toggleAttribute("disabled", Boolean(off)); }
  }

  class CrowdCheckbox extends CrowdElement {
    static observedAttributes = ["checked", "disabled", "required"];
    constructor() {
      super();
      const type = this.localName === "crowd-radio-button" ? "radio" : "checkbox";
      this.draw(`<label><input type="${type}"><slot></slot></label>`);
      this.box = this.part$("input");
      if (this.localName === "crowd-toggle-button") this.box.setAttribute("role", "switch");
      this.box.addEventListener("change", () => { this.settle(); emit(this, "change"); });
    }
    connectedCallback() { this.adopt("checked", "disabled", "value", "name"); this.nameInput(this.box); }
    attributeChangedCallback(name) { this.box[name] = isOn(this, name); if (name === "checked") this.settle(); }
    get checked() { return this.box.checked; }
    set checked(on) { this.box.checked = Boolean(on); this.settle(); }
    get value() { return this.getAttribute("value") ?? "on"; }
    set value(value) { this.setAttribute("value", value); }
    settle() {}
    crowdReset() { this.checked = isOn(this, "checked"); }
    crowdValid() { return this.box.reportValidity(); }
    crowdAnswer() { return { [this.value]: this.checked }; }
  }

  class CrowdRadioButton extends CrowdCheckbox {
    /* Native radios know each other only inside one tree, and each of these has its own. */
    get peers() { return [...(this.closest("crowd-radio-group")?.querySelectorAll("crowd-radio-button") ?? [this])]; }
    settle() { if (this.checked) for (const peer of this.peers) if (peer !== this && peer.box) peer.box.checked = false; }
  }

  class CrowdRadioGroup extends CrowdElement {
    constructor() { super(); this.draw("<slot></slot>", BLOCK); }
    connectedCallback() {
      this.setAttribute("role", "radiogroup");
      this.onkeydown ??= (event) => {
        const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
        const radios = [...this.querySelectorAll("crowd-radio-button")].filter((radio) => !radio.disabled);
        const at = radios.indexOf(event.target);
        if (!step || at < 0) return;
        event.preventDefault();
        const next = radios[(at + step + radios.length) % radios.length];
        next.focus();
        next.checked = true;
        emit(next, "change");
      };
    }
  }

  class CrowdInput extends CrowdElement {
    static observedAttributes = ["label", "value", "required", "disabled", "max-length", "placeholder", "type"];
    constructor() {
      super();
      const field = this.localName === "crowd-text-area" ? "<textarea rows='4'></textarea>" : "<input>";
      this.draw(`<label class="field"><span></span>${field}</label>`);
      this.box = this.part$("input, textarea");
      for (const type of ["input", "change"]) this.box.addEventListener(type, (event) => { if (!event.composed) emit(this, type); });
    }
    connectedCallback() { this.adopt("value", "disabled", "name"); if (!this.getAttribute("label")) this.nameInput(this.box); }
    attributeChangedCallback(name, _, value) {
      if (name === "label") this.part$("span").textContent = value ?? "";
      else if (name === "value") this.box.value = value ?? "";
      else if (name === "required" || name === "disabled") this.box[name] = isOn(this, name);
      else if (name !== "type" || this.box.localName === "input") this.box.setAttribute(name.replace("-", ""), value ?? "");
    }
    get value() { return this.box.value; }
    set value(value) { this.box.value = value ?? ""; }
    crowdReset() { this.box.value = this.getAttribute("value") ?? ""; }
    crowdValid() { return this.box.reportValidity(); }
    crowdAnswer() { return this.value === "" ? undefined : this.value; }
  }

  class CrowdButton extends CrowdElement {
    static observedAttributes = ["disabled", "loading", "variant"];
    constructor() {
      super();
      this.draw('<button type="button"><slot></slot><span hidden></span></button>');
      this.button = this.part$("button");
      this.addEventListener("click", (event) => {
        if (this.button.disabled) return void event.stopImmediatePropagation();
        const form = this.closest("crowd-form") ?? document.querySelector("crowd-form");
        const action = this.getAttribute("form-action");
        if (action === "submit") form?.submit();
        else if (action === "reset") form?.reset();
        else if (this.hasAttribute("href")) window.open(this.getAttribute("href"), this.getAttribute("target") || "_blank");
      });
    }
    connectedCallback() { this.adopt("disabled"); this.nameInput(this.button); }
    attributeChangedCallback() {
      this.button.disabled = this.disabled || isOn(this, "loading") || Boolean(this.busyText);
      this.button.className = this.getAttribute("variant") ?? "";
    }
    /* Apart from `disabled`, which belongs to the template: either of them keeps the button off. */
    setBusy(text) {
      this.busyText = text;
      this.part$("slot").hidden = Boolean(text);
      this.part$("span").hidden = !text;
      this.part$("span").textContent = text;
      this.attributeChangedCallback();
    }
  }

  class CrowdForm extends CrowdElement {
    connectedCallback() {
      if (this.form) return;
      this.form = document.createElement("form");
      this.form.noValidate = true;
      this.note = document.createElement("div");
      this.note.style.cssText = "position:sticky;top:0;z-index:9;padding:10px 14px;font:600 16px/1.4 system-ui,sans-serif;" +
        "color:#7a0c08;background:#fff1f0;border-bottom:3px solid #b3140f";
      this.note.setAttribute("role", "alert");
      this.note.hidden = true;
      this.status = document.createElement("div");
      this.status.style.cssText = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)";
      this.status.setAttribute("role", "status");
      this.form.append(this.note, this.status, ...this.childNodes);
      this.append(this.form);
      if (!this.querySelector("crowd-button[form-action=submit]")) {
        const button = document.createElement("crowd-button");
        button.setAttribute("form-action", "submit");
        button.setAttribute("variant", "primary");
        button.textContent = TEXT.submit;
        this.form.append(button);
      }
      /* The browser's own submit (Enter in a text field) takes the same way as everything else. */
      this.form.addEventListener("submit", (event) => {
        if (!event.isTrusted) return;
        event.preventDefault();
        event.stopImmediatePropagation();
        this.submit();
      }, true);
    }
    /* Only crowd elements are asked: native ones have properties that look like such methods. */
    get crowdElements() { return [...this.querySelectorAll("*")].filter((each) => each.localName.startsWith("crowd-")); }
    submit() {
      if (this.state) return;
      if (!this.form.reportValidity() || this.crowdElements.some((each) => each.crowdValid?.() === false)) return;
      /* The form's `onsubmit` and everybody's listeners see this event; they may fill hidden inputs, or stop it. */
      if (!this.form.dispatchEvent(new Event("submit", { bubbles: true, cancelable: true })) || this.state) return;
      const answer = this.answer();
      this.show("saving", TEXT.saving);
      if (window.parent === window) this.fail(TEXT.alone);
      else window.parent.postMessage({ type: "bulkqa:answer", answer }, "*");
    }
    reset() { this.form.reset(); for (const each of this.crowdElements) each.crowdReset?.(); }
    answer() {
      const answer = Object.create(null);
      const put = (name, value) => {
        if (!name || value === undefined) return;
        const isPair = typeof value === "object" && typeof answer[name] === "object";
        answer[name] = isPair ? Object.assign(answer[name], value) : value;
      };
      for (const each of this.querySelectorAll("*")) {
        if (each.localName.startsWith("crowd-")) put(each.name, each.crowdAnswer?.());
        else if (!["input", "select", "textarea"].includes(each.localName) || each.disabled) continue;
        else if (["checkbox", "radio"].includes(each.type)) put(each.name, { [each.value]: each.checked });
        else if (!["button", "submit", "reset", "image", "file"].includes(each.type)) put(each.name, each.value);
      }
      return answer;
    }
    show(state, text, problem = "") {
      this.state = state;
      this.status.textContent = text;
      this.note.textContent = problem;
      this.note.hidden = !problem;
      for (const button of this.querySelectorAll("crowd-button[form-action=submit]")) button.setBusy(text);
    }
    fail(message) { this.show("", "", message || TEXT.failed); }
    save() { this.show("saved", TEXT.saved); }
  }

  class CrowdCard extends CrowdElement {
    static observedAttributes = ["image", "heading"];
    constructor() { super(); this.draw('<div class="card"><img hidden><div hidden></div><slot></slot></div>'); }
    attributeChangedCallback() {
      const [image, heading] = ["image", "heading"].map((name) => this.getAttribute(name) ?? "");
      this.part$("img").hidden = !image;
      if (image) this.part$("img").src = image;
      this.part$("img").alt = heading ? "" : TEXT.picture;
      this.part$(".card div").hidden = !heading;
      this.part$(".card div").textContent = heading;
    }
  }

  class CrowdAlert extends CrowdElement {
    constructor() {
      super();
      this.draw('<div class="alert"><span><slot></slot></span><button type="button"></button></div>', BLOCK);
      this.part$("button").textContent = TEXT.dismiss;
      this.part$("button").addEventListener("click", () => { this.hidden = true; });
    }
    connectedCallback() {
      this.setAttribute("role", this.getAttribute("type") === "error" ? "alert" : "status");
      this.part$("button").hidden = !isOn(this, "dismissible");
    }
  }

  class CrowdInstructions extends CrowdElement {
    constructor() { super(); this.draw("<details><summary></summary><slot></slot></details>", BLOCK); }
    connectedCallback() { this.part$("summary").textContent = this.getAttribute("link-text") || TEXT.instructions; }
  }

  class CrowdTabs extends CrowdElement {
    constructor() { super(); this.draw('<div role="tablist"></div><slot></slot>', BLOCK); }
    connectedCallback() {
      const panels = [...this.children].filter((each) => each.localName === "crowd-tab");
      const tabs = panels.map((panel, index) => {
        const tab = document.createElement("button");
        tab.type = "button";
        tab.setAttribute("role", "tab");
        tab.textContent = panel.getAttribute("header") || String(index + 1);
        tab.onclick = () => select(index);
        panel.setAttribute("role", "tabpanel");
        panel.setAttribute("aria-label", tab.textContent);
        return tab;
      });
      const list = this.part$("[role=tablist]");
      const select = (chosen) => panels.forEach((panel, index) => {
        panel.hidden = index !== chosen;
        tabs[index].setAttribute("aria-selected", String(index === chosen));
        tabs[index].tabIndex = index === chosen ? 0 : -1;
      });
      list.onkeydown = (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        const next = (tabs.indexOf(event.target) + step + tabs.length) % tabs.length;
        select(next);
        tabs[next].focus();
      };
      list.hidden = !tabs.length;
      list.replaceChildren(...tabs);
      select(0);
    }
  }

  /* Elements that only hold text: a stray one must not break the form either. */
  const holder = () => class extends CrowdElement { constructor() { super(); this.draw("<slot></slot>", BLOCK); } };

  function start() {
    const style = document.createElement("style");
    style.textContent = "crowd-form, short-instructions, full-instructions, short-summary, detailed-instructions, " +
      "positive-example, negative-example { display: block } [role=alert][hidden] { display: none !important }";
    document.head.append(style);
    const elements = {
      "crowd-button": CrowdButton, "crowd-checkbox": CrowdCheckbox, "crowd-toggle-button": class extends CrowdCheckbox {},
      "crowd-radio-button": CrowdRadioButton, "crowd-radio-group": CrowdRadioGroup, "crowd-input": CrowdInput,
      "crowd-text-area": class extends CrowdInput {}, "crowd-card": CrowdCard, "crowd-alert": CrowdAlert,
      "crowd-instructions": CrowdInstructions, "crowd-tab": holder(), "crowd-tabs": CrowdTabs,
      "short-instructions": holder(), "full-instructions": holder(), "crowd-form": CrowdForm,
    };
    for (const [name, element] of Object.entries(elements)) customElements.define(name, element);
    window.addEventListener("message", (event) => {
      if (event.source !== window.parent) return;
      const form = document.querySelector("crowd-form");
      /* A reply counts only while one is awaited. */
      if (form?.state !== "saving") return;
      if (event.data?.type === "bulkqa:failed") form.fail(String(event.data.message ?? ""));
      else if (event.data?.type === "bulkqa:saved") form.save();
    });
    document.dispatchEvent(new Event("all-crowd-elements-ready"));
    if (window.parent !== window) window.parent.postMessage({ type: "bulkqa:ready" }, "*");
  }

  /* In the head the elements would be drawn before their children exist. */
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start, { once: true });
  else start();
})();
