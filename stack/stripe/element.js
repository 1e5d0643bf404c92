// What a page finds here instead of Stripe's script: the card element, and the making of a payment method of it.
// A page that works with this one works with Stripe's; the reverse is not so, since little more than this is here.
"use strict";

(() => {
  const API = new URL(document.currentScript.src).origin;
  const FIELDS = {
    number: { label: "Card number", autocomplete: "cc-number", width: 20, digits: 16 },
    expiry: { label: "Expiry (MM / YY)", placeholder: "MM / YY", autocomplete: "cc-exp", width: 7, digits: 4 },
    cvc: { label: "CVC", autocomplete: "cc-csc", width: 4, digits: 3 },
  };
  const digitsOf = (text) => text.replace(/\D/g, "");

  function isCardNumber(digits) {
    const sum = [...digits].reverse().reduce((total, digit, place) => {
      const value = Number(digit) * (place % 2 ? 2 : 1);
      return total + (value > 9 ? value - 9 : value);
    }, 0);
    return sum % 10 === 0;
  }

  function written(name, digits) {
    if (name === "number") return digits.replace(/(.{4})(?=.)/g, "$1 ");
    return name === "expiry" && digits.length > 2 ? `${digits.slice(0, 2)} / ${digits.slice(2)}` : digits;
  }

  // The first thing that is wrong with what was typed, and that more typing cannot mend.
  function wrong({ number, expiry }) {
    if (number.length === 16 && !isCardNumber(number)) return ["invalid_number", "Your card number is invalid."];
    if (expiry.length < 4) return null;
    const month = Number(expiry.slice(0, 2));
    const end = new Date(2000 + Number(expiry.slice(2)), month, 1);
    if (month < 1 || month > 12) return ["invalid_expiry_month", "Your card's expiration date is invalid."];
    return end <= new Date() ? ["invalid_expiry_year_past", "Your card's expiration year is in the past."] : null;
  }

  class CardElement {
    #inputs = {};
    #listeners = {};
    #place = null;
    #look;

    constructor(options) {
      this.#look = options?.style?.base ?? {};
    }

    mount(place) {
      this.#place = typeof place === "string" ? document.querySelector(place) : place;
      Object.assign(this.#place.style, { display: "flex", gap: "0.75em" });
      this.#tint(this.#look["::placeholder"]?.color);
      for (const [name, field] of Object.entries(FIELDS)) {
        const input = document.createElement("input");
        input.type = "text";
        input.inputMode = "numeric";
        input.autocomplete = field.autocomplete;
        input.placeholder = field.placeholder ?? field.label;
        input.size = field.width;
        input.dataset.card = name;
        this.#dress(input, name);
        input.setAttribute("aria-label", field.label);
        input.addEventListener("input", () => this.#typed(name));
        input.addEventListener("focus", () => this.#tell("focus", {}, "StripeElement--focus", true));
        input.addEventListener("blur", () => this.#tell("blur", {}, "StripeElement--focus", false));
        this.#inputs[name] = input;
        this.#place.append(input);
      }
      this.#place.classList.add("StripeElement", "StripeElement--empty");
      queueMicrotask(() => this.#tell("ready", {}));
    }

    on(event, listener) {
      (this.#listeners[event] ??= []).push(listener);
      return this;
    }

    focus() {
      this.#inputs.number?.focus();
    }

    clear() {
      for (const input of Object.values(this.#inputs)) input.value = "";
      this.#changed();
    }

    unmount() {
      for (const input of Object.values(this.#inputs)) input.remove();
      this.#inputs = {};
    }

    destroy() {
      this.unmount();
      this.#listeners = {};
    }

    update(options) {
      for (const input of Object.values(this.#inputs)) input.disabled = Boolean(options.disabled);
    }

    // For Stripe alone; a page has no business with it.
    _card() {
      const { number, expiry, cvc } = this.#digits();
      return { number, exp_month: expiry.slice(0, 2), exp_year: `20${expiry.slice(2)}`, cvc };
    }

    _error() {
      const digits = this.#digits();
      const [code, message] = wrong(digits) ?? this.#incomplete(digits) ?? [];
      return code ? { type: "validation_error", code, message } : undefined;
    }

    #digits() {
      return Object.fromEntries(Object.keys(FIELDS).map((name) => [name, digitsOf(this.#inputs[name]?.value ?? "")]));
    }

    #incomplete(digits) {
      const name = Object.keys(FIELDS).find((each) => digits[each].length < FIELDS[each].digits);
      const what = { number: "number", expiry: "expiration date", cvc: "security code" }[name];
      return name ? [`incomplete_${name}`, `Your card's ${what} is incomplete.`] : null;
    }

    #typed(name) {
      const input = this.#inputs[name];
      const digits = digitsOf(input.value).slice(0, FIELDS[name].digits);
      const atTheEnd = input.selectionStart === input.value.length;
      if (atTheEnd) input.value = written(name, digits);
      if (atTheEnd && digits.length === FIELDS[name].digits) {
        this.#inputs[{ number: "expiry", expiry: "cvc" }[name]]?.focus();
      }
      this.#changed();
    }

    #changed() {
      const digits = this.#digits();
      const [code, message] = wrong(digits) ?? [];
      const empty = Object.values(digits).every((each) => !each);
      const complete = !code && !this.#incomplete(digits);
      this.#place.classList.toggle("StripeElement--empty", empty);
      this.#place.classList.toggle("StripeElement--complete", complete);
      const error = code && { type: "validation_error", code, message };
      this.#tell("change", { elementType: "card", empty, complete, error, brand: "unknown", value: {} });
      this.#place.classList.toggle("StripeElement--invalid", Boolean(code));
    }

    // The border is that of the place; of the style that a page asks for, what is said of the text is heeded.
    #dress(input, name) {
      const plain = { border: "0", padding: "0", background: "none", outline: "none", font: "inherit" };
      Object.assign(plain, { minWidth: "0", minHeight: "1.5rem" });
      const text = Object.entries(this.#look).filter(([, value]) => typeof value === "string");
      Object.assign(input.style, plain, { flex: name === "number" ? "1 1 11em" : "0 1 auto" }, Object.fromEntries(text));
    }

    // No policy of a page forbids a style sheet that is made so.
    #tint(color) {
      const sheet = new CSSStyleSheet();
      sheet.insertRule("[data-card]::placeholder { opacity: 1 }");
      sheet.cssRules[0].style.color = color ?? "";
      document.adoptedStyleSheets.push(sheet);
    }

    #tell(event, details, className, isOn) {
      if (className) this.#place.classList.toggle(className, isOn);
      for (const listener of this.#listeners[event] ?? []) listener(details);
    }
  }

  async function createPaymentMethod(key, { type, card, billing_details: details = {} }) {
    const error = card._error();
    if (error) return { error };
    const form = new URLSearchParams({ type, key });
    for (const [name, value] of Object.entries(card._card())) form.set(`card[${name}]`, value);
    for (const name of ["name", "email", "phone"]) if (details[name]) form.set(`billing_details[${name}]`, details[name]);
    try {
      const response = await fetch(`${API}/v1/payment_methods`, { method: "POST", body: form });
      const answer = await response.json();
      return answer.error ? { error: answer.error } : { paymentMethod: answer };
    } catch {
      return { error: { type: "api_connection_error", message: "We could not reach Stripe. Please try again." } };
    }
  }

  window.Stripe = (key) => ({
    elements: () => {
      let element = null;
      return {
        create: (type, options) => {
          if (type !== "card") throw new Error(`There is no element of type ${type} here.`);
          return (element = new CardElement(options));
        },
        getElement: () => element,
      };
    },
    createPaymentMethod: (options) => createPaymentMethod(key, options),
  });
})();
