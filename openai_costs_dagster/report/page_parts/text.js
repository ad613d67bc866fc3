// How figures are written. A minus is a minus, and a share of nothing is nothing.

const NOTHING = {
  organization: "(none)", project: "(no project)", service: "(none)", model: "(no model)", user: "(nobody)",
  key: "(no key)",
};
const MONEY = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });
const SMALL_MONEY = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD", maximumSignificantDigits: 3 });
const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const ROUGH = new Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 3 });

const dollars = (amount) => MONEY.format(amount === 0 ? 0 : amount);
// A code is the API's text: it is written as it is, and null is money without a currency.
const AMOUNT = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const inCurrency = (amount, currency) => `${AMOUNT.format(amount)} ${currency === null ? "without a currency" : currency.toUpperCase()}`;
const smallDollars = (amount) => (amount === null ? "" : SMALL_MONEY.format(amount));
const roughDollars = (amount) => `${amount < 0 ? "-" : ""}$${ROUGH.format(Math.abs(amount))}`;
const signedDollars = (amount) => (amount > 0 ? "+" : "") + dollars(amount);
const signedShare = (share) => `${share > 0 ? "+" : ""}${WHOLE.format(share * 100)} %`;
const percent = (share) => `${WHOLE.format(share * 100)} %`;
const shareOf = (amount, all) => (all > 0 ? amount / all : null);
const counted = (count, thing) => `${WHOLE.format(count)} ${thing}${count === 1 ? "" : "s"}`;
const moment = (text) => (text ? `${text.slice(0, 10)} ${text.slice(11, 16)} UTC` : "never");
const shortened = (text) => (text.length > 40 ? `${text.slice(0, 39)}…` : text);
const direction = (amount) => (amount > 0 ? "up" : amount < 0 ? "down" : "");
const changeOf = (now, before) => (before > 0 ? `, ${signedShare(now / before - 1)}` : "");
