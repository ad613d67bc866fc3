// Formats amounts, shares and times, and contains the labels for spend without a project, model, user or API key.

/** @type {Record<Dimension, string>} */
const NO_VALUE_LABELS = {
  organization: "(none)", project: "(no project)", service: "(none)", model: "(no model)", user: "(no user)",
  key: "(no key)",
};
const USD_FORMAT = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });
const SMALL_USD_FORMAT = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD", maximumSignificantDigits: 3 });
const INTEGER_FORMAT = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const COMPACT_FORMAT = new Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 3 });
const AMOUNT_FORMAT = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const MAX_LABEL_LENGTH = 40;  // characters of a name in a legend

/** @param {number} amount  The comparison with 0 turns -0, which a sum of credits can be, into 0. */
const dollars = (amount) => USD_FORMAT.format(amount === 0 ? 0 : amount);

/**
 * Formats an amount of another currency. The code is not passed to Intl, because OpenAI may return any text.
 * @param {number} amount
 * @param {string | null} currency
 */
const inCurrency = (amount, currency) => (
  `${AMOUNT_FORMAT.format(amount)} ${currency === null ? "without a currency" : currency.toUpperCase()}`);

/** @param {number} amount */
const smallDollars = (amount) => SMALL_USD_FORMAT.format(amount);
/** @param {number} amount */
const roughDollars = (amount) => `${amount < 0 ? "-" : ""}$${COMPACT_FORMAT.format(Math.abs(amount))}`;
/** @param {number} amount */
const signedDollars = (amount) => (amount > 0 ? "+" : "") + dollars(amount);
/** @param {number} share */
const signedPercent = (share) => `${share > 0 ? "+" : ""}${INTEGER_FORMAT.format(share * 100)} %`;
/** @param {number} share */
const percent = (share) => `${INTEGER_FORMAT.format(share * 100)} %`;

/**
 * Returns the share of an amount in a total, or null if the total is zero or negative: a share of a credit has no
 * meaning.
 * @param {number} amount
 * @param {number} total
 */
const shareOf = (amount, total) => (total > 0 ? amount / total : null);

/** @param {number} count @param {string} noun */
const counted = (count, noun) => `${INTEGER_FORMAT.format(count)} ${noun}${count === 1 ? "" : "s"}`;
/** @param {string | null} timestamp  ISO 8601 in UTC */
const minuteOf = (timestamp) => (timestamp ? `${timestamp.slice(0, 10)} ${timestamp.slice(11, 16)} UTC` : "never");
/** @param {string} text */
const shortened = (text) => (text.length > MAX_LABEL_LENGTH ? `${text.slice(0, MAX_LABEL_LENGTH - 1)}…` : text);
/** @param {number} amount  Returns the CSS class of an increase or a decrease. */
const directionClass = (amount) => (amount > 0 ? "up" : amount < 0 ? "down" : "");
/** @param {number} amount @param {number} earlier */
const relativeChange = (amount, earlier) => (earlier > 0 ? `, ${signedPercent(amount / earlier - 1)}` : "");
