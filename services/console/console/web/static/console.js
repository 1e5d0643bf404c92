/*
What pages do beyond what HTML does. Everything works without this file, by full page loads.

  arm            a destructive button wants a second click within three seconds
  toasts         they go after a while, not while somebody reads them, and at once when dismissed
  forms          are sent once; Enter sends the field of addresses; passwords can be shown; secrets can be copied
  live           the members table follows the organization: only what has changed is replaced
*/
"use strict";

(() => {
  const ARMED_FOR = 3000;
  const TOAST_FOR = 10000;
  const POLL_EVERY = 5000;

  const announce = (text) => {
    const announcer = document.getElementById("announcer");
    if (announcer) announcer.textContent = text;
  };

  /* --- destructive buttons ------------------------------------------------------------------------------------- */

  const disarm = (button) => {
    clearTimeout(button.disarming);
    if (!button.classList.contains("is-armed")) return;
    button.classList.remove("is-armed");
    button.replaceChildren(...button.unarmed);
  };

  const arm = (button) => {
    button.unarmed = [...button.childNodes];
    button.style.setProperty("min-width", `${button.offsetWidth}px`);
    button.replaceChildren("Click to confirm");
    button.classList.add("is-armed");
    button.disarming = setTimeout(() => disarm(button), ARMED_FOR);
    announce("Click to confirm");
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-arm]");
    if (!button) return;
    if (!button.classList.contains("is-armed")) {
      event.preventDefault();
      arm(button);
      return;
    }
    clearTimeout(button.disarming);
    const confirmed = document.createElement("input");
    Object.assign(confirmed, { type: "hidden", name: "confirmed", value: "1" });
    button.form.append(confirmed);
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    document.querySelectorAll("button.is-armed").forEach(disarm);
    const menu = document.querySelector("details[data-menu][open]");
    if (menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });

  document.addEventListener("click", (event) => {
    document.querySelectorAll("details[data-menu][open]").forEach((menu) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
  });

  /* --- toasts -------------------------------------------------------------------------------------------------- */

  const mindToast = (toast) => {
    let leaving;
    const stay = () => clearTimeout(leaving);
    const go = () => {
      stay();
      leaving = setTimeout(() => toast.remove(), TOAST_FOR);
    };
    toast.addEventListener("pointerenter", stay);
    toast.addEventListener("focusin", stay);
    toast.addEventListener("pointerleave", go);
    toast.addEventListener("focusout", go);
    toast.querySelector(".toast-dismiss").addEventListener("click", () => {
      stay();
      toast.remove();
    });
    // An error stays until it is dismissed: what went wrong must not be missed.
    if (toast.dataset.toast !== "error") go();
  };

  const mindToasts = () => {
    const region = document.getElementById("toasts");
    if (!region) return;
    const toasts = [...region.querySelectorAll("[data-toast]")];
    toasts.forEach(mindToast);
    // A live region is read when it changes, and these were there from the beginning.
    if (toasts.length) {
      toasts.forEach((toast) => toast.remove());
      requestAnimationFrame(() => region.append(...toasts));
    }
  };

  /* --- forms --------------------------------------------------------------------------------------------------- */

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "1";
    form.querySelectorAll("button[type=submit]").forEach((button) => button.setAttribute("aria-busy", "true"));
  });

  // A page that comes back from the history can be sent again.
  window.addEventListener("pageshow", () => {
    document.querySelectorAll("form[data-sent]").forEach((form) => {
      delete form.dataset.sent;
      form.querySelectorAll("[aria-busy]").forEach((button) => button.removeAttribute("aria-busy"));
    });
  });

  const sendOnEnter = (field) => {
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      field.form.requestSubmit();
    });
    if (field.autofocus) field.setSelectionRange(field.value.length, field.value.length);
  };

  const offerToShow = (input) => {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "reveal", textContent: "Show" });
    button.setAttribute("aria-label", "Show password");
    button.addEventListener("click", () => {
      const shown = input.type === "text";
      input.type = shown ? "password" : "text";
      button.textContent = shown ? "Show" : "Hide";
      button.setAttribute("aria-label", shown ? "Show password" : "Hide password");
    });
    input.after(button);
  };

  const offerToCopy = (button) => {
    button.addEventListener("click", async () => {
      const label = button.querySelector("span");
      try {
        await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
        label.textContent = "Copied";
        announce("Copied");
      } catch {
        label.textContent = "Select and copy it";
      }
    });
  };

  const openAndFocus = (details) => {
    details.addEventListener("toggle", () => {
      if (details.open) details.querySelector("textarea, input:not([type=hidden])").focus();
    });
  };

  /* --- live ---------------------------------------------------------------------------------------------------- */

  const remember = (table) => {
    const rows = new Map();
    table.querySelectorAll("[data-key]").forEach((row) => rows.set(row.dataset.key, row.outerHTML));
    return rows;
  };

  const labelled = (row, label) =>
    [...row.querySelectorAll("button, a")].find((control) => control.textContent.trim() === label);

  /** Puts the new rows in the place of the old ones. A row that says the same stays as it is, armed or focused. */
  const morph = (section, fresh, known) => {
    const body = section.querySelector("[data-live-table] tbody");
    const focused = document.activeElement;
    const focusedRow = body.contains(focused) ? focused.closest("[data-key]") : null;
    const label = focusedRow ? (focused.unarmed ? "" : focused.textContent.trim()) : "";
    const rows = new Map([...body.children].map((row) => [row.dataset.key, row]));
    let place = null;
    fresh.querySelectorAll("tbody > [data-key]").forEach((row) => {
      const key = row.dataset.key;
      const old = rows.get(key);
      const same = old && known.get(key) === row.outerHTML;
      const kept = same ? old : row.cloneNode(true);
      if (!same) kept.classList.add(old ? "is-changed" : "is-new");
      if (old && !same) old.replaceWith(kept);
      const next = place ? place.nextElementSibling : body.firstElementChild;
      if (next !== kept) body.insertBefore(kept, next);
      rows.delete(key);
      place = kept;
    });
    rows.forEach((row) => row.remove());
    const more = section.querySelector(".table-more");
    const freshMore = fresh.querySelector(".table-more");
    if (more && freshMore) more.replaceWith(freshMore.cloneNode(true));
    else if (more) more.remove();
    else if (freshMore) section.querySelector("[data-live-table]").append(freshMore.cloneNode(true));
    if (focusedRow && !document.contains(focused)) {
      const successor = body.querySelector(`[data-key="${CSS.escape(focusedRow.dataset.key)}"]`);
      const control = successor && labelled(successor, label);
      (control || section.querySelector("[tabindex='-1']")).focus();
    }
  };

  const follow = (section) => {
    let known = remember(section);
    let fetching = false;
    let again = false;
    let polling = null;
    const state = section.querySelector("[data-live-state]");

    const refresh = async () => {
      if (fetching) {
        again = true;
        return;
      }
      fetching = true;
      try {
        const answer = await fetch(section.dataset.liveSource, { headers: { accept: "text/html" }, redirect: "manual" });
        if (answer.status === 401 || answer.status === 404) {
          location.reload();
          return;
        }
        if (answer.ok) {
          const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
          morph(section, fresh, known);
          known = remember(fresh);
          state.hidden = true;
        }
      } catch {
        state.hidden = false;
      } finally {
        fetching = false;
      }
      if (again) {
        again = false;
        refresh();
      }
    };

    const poll = (on) => {
      clearInterval(polling);
      polling = on ? setInterval(refresh, POLL_EVERY) : null;
    };

    /* One tab of a browser listens for all: a browser opens few connections to a host. */
    const channel = "BroadcastChannel" in window ? new BroadcastChannel("latchkey-live") : null;
    const tell = (what) => channel && channel.postMessage(what);
    if (channel) channel.addEventListener("message", ({ data }) => (data === "gone" ? location.reload() : refresh()));

    const listen = () =>
      new Promise(() => {
        const source = new EventSource(section.dataset.live);
        source.addEventListener("open", () => poll(false));
        source.addEventListener("changed", () => {
          refresh();
          tell("changed");
        });
        source.addEventListener("gone", () => {
          source.close();
          tell("gone");
          location.reload();
        });
        source.addEventListener("error", () => {
          // It connects again by itself, unless it was refused. Until then the table is asked for.
          if (!polling) poll(true);
          if (source.readyState === EventSource.CLOSED) refresh();
        });
        window.addEventListener("pagehide", () => source.close());
      });

    if (navigator.locks && channel) navigator.locks.request("latchkey-live", listen);
    else listen();
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") refresh();
    });
    window.addEventListener("pageshow", (event) => {
      if (event.persisted) location.reload();
    });
  };

  /* --- begin --------------------------------------------------------------------------------------------------- */

  mindToasts();
  document.querySelectorAll("[data-submit-on-enter]").forEach(sendOnEnter);
  document.querySelectorAll("input[type=password]").forEach(offerToShow);
  document.querySelectorAll("[data-copy]").forEach(offerToCopy);
  document.querySelectorAll("details.add-member").forEach(openAndFocus);
  document.querySelectorAll("[data-live]").forEach(follow);
  document.querySelectorAll("[data-reload]").forEach((waiting) => {
    setTimeout(() => location.reload(), Number(waiting.dataset.reload) * 1000);
  });
})();
