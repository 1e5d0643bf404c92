/*
What pages do beyond what HTML does. Everything works without this file, by full page loads.

  arm            a destructive button wants a second click within three seconds; a double click is one
  toasts         they go after a while, not while somebody reads them, and at once when dismissed
  forms          are sent once; Enter sends the field of addresses; passwords can be shown; secrets can be copied;
                 usual amounts fill in a field
  live           the members table follows the organization, and figures of money follow who pays: only what has changed
                 is replaced
*/
"use strict";

(() => {
  const ARMED_FOR = 3000;
  const DOUBLE_CLICK = 500;
  const TOAST_FOR = 10000;
  const POLL_EVERY = 5000;

  const announce = (text) => {
    const announcer = document.getElementById("announcer");
    if (announcer) announcer.textContent = text;
  };

  /* --- destructive buttons ------------------------------------------------------------------------------------- */

  const isArmed = (button) => button.classList.contains("is-armed");

  const disarm = (button) => {
    clearTimeout(button.disarming);
    if (!isArmed(button)) return;
    button.classList.remove("is-armed");
    button.replaceChildren(...button.unarmed);
    announce("");
  };

  const arm = (button) => {
    button.unarmed = [...button.childNodes];
    button.style.setProperty("min-width", `${button.offsetWidth}px`);
    button.replaceChildren("Click to confirm");
    button.classList.add("is-armed");
    button.armedAt = Date.now();
    button.disarming = setTimeout(() => disarm(button), ARMED_FOR);
    announce("Click to confirm");
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-arm]");
    if (!button) return;
    if (!isArmed(button)) {
      event.preventDefault();
      arm(button);
      return;
    }
    // The second half of a double click confirms nothing: nobody has read the question yet.
    if (event.detail > 1 && Date.now() - button.armedAt < DOUBLE_CLICK) {
      event.preventDefault();
      return;
    }
    clearTimeout(button.disarming);
    const confirmed = document.createElement("input");
    Object.assign(confirmed, { type: "hidden", name: "confirmed", value: "1" });
    button.form.append(confirmed);
  });

  document.addEventListener("keydown", (event) => {
    // Neither does a key that is held down.
    if (event.repeat && event.key === "Enter" && event.target.closest("button[data-arm]")) event.preventDefault();
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

  const fillIn = (link) => {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const field = document.getElementById(link.dataset.fill);
      field.value = link.dataset.value;
      field.focus();
    });
  };

  const openAndFocus = (details) => {
    details.addEventListener("toggle", () => {
      if (details.open) details.querySelector("textarea, input:not([type=hidden])").focus();
    });
  };

  /* --- live ---------------------------------------------------------------------------------------------------- */

  /** What rows and parts are known as: by data-key and data-live-part, of which no two are the same. */
  const nameOf = (piece) => piece.dataset.livePart || piece.dataset.key;

  const remember = (table) => {
    const pieces = new Map();
    table.querySelectorAll("[data-key], [data-live-part]").forEach((piece) => pieces.set(nameOf(piece), piece.outerHTML));
    return pieces;
  };

  const labelOf = (control) => {
    const parts = isArmed(control) ? control.unarmed : [control];
    return parts.map((part) => part.textContent).join("").trim();
  };

  const labelled = (row, label) => [...row.querySelectorAll("button, a")].find((control) => labelOf(control) === label);

  /** Puts what is new in the place of what was. */
  const morph = (section, fresh, known) => {
    morphParts(section, fresh, known);
    if (section.querySelector("[data-live-rows]")) morphRows(section, fresh, known);
  };

  const partsOf = (piece) => [...piece.querySelectorAll("[data-live-part]")];

  /** Parts are replaced one by one, so that what stands between them stays as it is: what is open, or chosen. So does
      a part in which somebody is writing, or is told what was wrong with that. */
  const morphParts = (section, fresh, known) => {
    const old = new Map(partsOf(section).map((part) => [nameOf(part), part]));
    partsOf(fresh).forEach((part) => {
      const place = old.get(nameOf(part));
      if (!place || known.get(nameOf(part)) === part.outerHTML || isBeingWritten(place)) return;
      const focused = place.contains(document.activeElement) ? labelOf(document.activeElement) : null;
      const kept = part.cloneNode(true);
      place.replaceWith(kept);
      if (focused !== null) (labelled(kept, focused) || section.querySelector("[tabindex='-1']")).focus();
    });
  };

  const isBeingWritten = (part) =>
    [...part.querySelectorAll("input:not([type=hidden])")].some(
      (input) => input === document.activeElement || input.value !== input.defaultValue || input.ariaInvalid,
    );

  /** Puts the new rows in the place of the old ones. A row that says the same stays as it is; in one that does not, the
      button that was focused or armed still is. */
  const morphRows = (section, fresh, known) => {
    const body = section.querySelector("[data-live-rows]");
    const focused = document.activeElement;
    const focusedRow = body.contains(focused) ? focused.closest("[data-key]") : null;
    const label = focusedRow ? labelOf(focused) : "";
    const freshRows = [...fresh.querySelectorAll("[data-live-rows] > [data-key]")];
    const keys = new Set(freshRows.map((row) => row.dataset.key));
    // First, so that no row that stays has to be moved: what is moved loses the focus.
    [...body.children].filter((row) => !keys.has(row.dataset.key)).forEach((row) => row.remove());
    const rows = new Map([...body.children].map((row) => [row.dataset.key, row]));
    let place = null;
    freshRows.forEach((row) => {
      const old = rows.get(row.dataset.key);
      // A row of parts has got what is new in them already.
      const same = old && (hasParts(old, row) || known.get(row.dataset.key) === row.outerHTML);
      const kept = same ? old : row.cloneNode(true);
      if (!same) kept.classList.add(old ? "is-changed" : "is-new");
      if (old && !same) replaceRow(old, kept);
      const next = place ? place.nextElementSibling : body.firstElementChild;
      if (next !== kept) body.insertBefore(kept, next);
      place = kept;
    });
    morphMore(section, fresh);
    if (focusedRow && !document.contains(focused)) {
      const successor = body.querySelector(`[data-key="${CSS.escape(focusedRow.dataset.key)}"]`);
      const control = successor && labelled(successor, label);
      (control || section.querySelector("[tabindex='-1']")).focus();
    }
  };

  const hasParts = (old, row) => {
    const parts = partsOf(row).map(nameOf).join();
    return parts !== "" && parts === partsOf(old).map(nameOf).join();
  };

  const replaceRow = (old, kept) => {
    old.replaceWith(kept);
    const armed = old.querySelector("button.is-armed");
    const successor = armed && labelled(kept, labelOf(armed));
    if (armed) clearTimeout(armed.disarming);
    if (successor) arm(successor);
  };

  /** The links to more of the table, below it. */
  const morphMore = (section, fresh) => {
    const [old, next] = [section, fresh].map((each) => each.querySelector(".table-more"));
    if (old && next && old.outerHTML === next.outerHTML) return;
    if (old) old.remove();
    if (next) section.querySelector("[data-live-table]").append(next.cloneNode(true));
  };

  const follow = (section) => {
    const { live, livePage, liveSource } = section.dataset;
    const { reader } = section.querySelector("[data-live-table]").dataset;
    const state = section.querySelector("[data-live-state]");
    let known = remember(section);
    let tag = null;
    let fetching = false;
    let again = false;
    let source = null;
    let polling = null;

    // Not reload(): the page may be the answer to a form, which would be sent once more. And not while a form is under
    // way, whose answer comes after the news of what it did: going elsewhere would end it, and its toast with it.
    const leave = () => {
      if (!document.querySelector("form[data-sent]")) location.replace(livePage);
    };

    const show = async (answer) => {
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (fresh.querySelector("[data-live-table]").dataset.reader !== reader) {
        leave();
        return;
      }
      morph(section, fresh, known);
      known = remember(fresh);
      // What was left alone is looked at again.
      partsOf(section).filter(isBeingWritten).forEach((part) => known.delete(nameOf(part)));
      tag = answer.headers.get("etag");
    };

    const refresh = async () => {
      if (fetching) {
        again = true;
        return;
      }
      fetching = true;
      try {
        const headers = { accept: "text/html", ...(tag && { "if-none-match": tag }) };
        const answer = await fetch(liveSource, { headers, redirect: "manual" });
        if (answer.status === 401 || answer.status === 404) leave();
        else if (answer.ok) await show(answer);
        state.hidden = answer.ok || answer.status === 304;
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

    /* One tab of a browser listens for all: a browser opens few connections to a host. */
    const name = `latchkey-live ${live} ${reader}`;
    const channel = "BroadcastChannel" in window ? new BroadcastChannel(name) : null;
    const tell = (what) => channel && channel.postMessage(what);
    if (channel) channel.addEventListener("message", ({ data }) => (data === "gone" ? leave() : refresh()));

    const changed = () => {
      refresh();
      tell("changed");
    };

    const poll = () => {
      polling ??= setInterval(() => {
        changed();
        // It connects again by itself, unless it was refused.
        if (source && source.readyState === EventSource.CLOSED) connect();
      }, POLL_EVERY);
    };

    const connect = () => {
      source = new EventSource(live);
      // Every stream begins with an event. Until it has come, as where a proxy holds it back, the table is asked for.
      source.addEventListener("changed", () => {
        clearInterval(polling);
        polling = null;
        changed();
      });
      source.addEventListener("gone", () => {
        source.close();
        tell("gone");
        leave();
      });
      source.addEventListener("error", poll);
    };

    const listen = () => {
      poll();
      if ("EventSource" in window) connect();
      return new Promise(() => {}); // for as long as the page is there
    };

    if (navigator.locks && channel) navigator.locks.request(name, listen);
    else listen();
    refresh(); // What has changed while the page was loading, nobody tells.
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") refresh();
    });
    window.addEventListener("pagehide", () => source && source.close());
    window.addEventListener("pageshow", (event) => {
      if (event.persisted) leave();
    });
  };

  /* --- begin --------------------------------------------------------------------------------------------------- */

  mindToasts();
  // On a small screen the menu is a line that is longer than the screen.
  document.querySelectorAll(".sidebar [aria-current]").forEach((link) => link.scrollIntoView({ block: "nearest", inline: "center" }));
  document.querySelectorAll("[data-submit-on-enter]").forEach(sendOnEnter);
  document.querySelectorAll("input[type=password]").forEach(offerToShow);
  document.querySelectorAll("[data-copy]").forEach(offerToCopy);
  document.querySelectorAll("[data-fill]").forEach(fillIn);
  document.querySelectorAll("details.add-member").forEach(openAndFocus);
  document.querySelectorAll("[data-live]").forEach(follow);
  document.querySelectorAll("[data-reload]").forEach((waiting) => {
    setTimeout(() => location.reload(), Number(waiting.dataset.reload) * 1000);
  });
})();
