// Stands in for Stripe.js (docs.stripe.com/js): as much of the Payment Element as one card payment needs. Test cards only.
"use strict";

(() => {
  const origin = new URL(document.currentScript.src).origin;
  const fields = [
    ["number", "Card number", "cc-number"],
    ["expiry", "Expiry (MM/YY)", "cc-exp"],
    ["cvc", "CVC", "cc-csc"],
  ];

  function field([name, label, autocomplete]) {
    const input = Object.assign(document.createElement("input"), { name, autocomplete, inputMode: "numeric" });
    const shown = document.createElement("label");
    shown.append(label, input);
    return shown;
  }

  class PaymentElement {
    #listeners = {};
    on(event, listener) { this.#listeners[event] = listener; }
    mount(area) {
      this.area = area;
      area.replaceChildren(...fields.map(field));
      this.#listeners.ready?.();
    }
    value(name) { return this.area.querySelector(`[name=${name}]`).value.trim(); }
  }

  class Elements {
    constructor(options) { this.clientSecret = options.clientSecret; }
    create() { return (this.element = new PaymentElement()); }
  }

  function details(element) {
    const [month, year] = element.value("expiry").split("/");
    return {
      "payment_method_data[type]": "card",
      "payment_method_data[card][number]": element.value("number"),
      "payment_method_data[card][exp_month]": month ?? "",
      "payment_method_data[card][exp_year]": year ?? "",
      "payment_method_data[card][cvc]": element.value("cvc"),
    };
  }

  window.Stripe = (key) => ({
    elements: (options) => new Elements(options),
    async confirmPayment({ elements, confirmParams }) {
      const intent = elements.clientSecret.split("_secret_")[0];
      const body = new URLSearchParams({
        key,
        client_secret: elements.clientSecret,
        return_url: confirmParams.return_url,
        ...details(elements.element),
      });
      const answer = await fetch(`${origin}/v1/payment_intents/${intent}/confirm`, { method: "POST", body });
      const content = await answer.json();
      if (!answer.ok) return { error: content.error };
      if (content.status === "requires_action") {
        location.assign(content.next_action.redirect_to_url.url);
        return new Promise(() => {});
      }
      return { paymentIntent: content };
    },
  });
})();
