// Types of the data that Python embeds in the page, for `tsc --checkJs`. No browser loads this file.
//
// The interfaces have the fields of the dataclasses in contents.py and cube.py. The tuples have the fields of the named
// tuples in warehouse/report_queries.py, in their order. test_page.py compares the field names of the interfaces.

/** A UTC day as YYYY-MM-DD. */
type IsoDay = string;
/** An exact decimal number as text. */
type DecimalText = string;
type Dimension = "organization" | "project" | "service" | "model" | "user" | "key";
type FilterName = "organization" | "project" | "model" | "user";

/** organization, kind, id, name */
type CurrentName = [string, string, string, string];
/** organization, model, month, amount, tokens, requests */
type MonthlyUnitCost = [string, string, IsoDay, DecimalText, DecimalText, DecimalText | null];
/** organization, day, observed at, currency, number of rows, change */
type Restatement = [string, IsoDay, string, string | null, number, DecimalText];
/** organization, day, currency, amount */
type OtherCurrencyAmount = [string, IsoDay, string | null, DecimalText];
/** six indexes into Cube.names, first day number, amounts in billionths of a US dollar, and day offsets or null */
type PackedSeries = [
  number | null, number | null, number | null, number | null, number | null, number | null, number, number[], number[] | null,
];

interface Cube {
  /** Pairs of organization and id. */
  names: Record<Dimension, [string, string][]>;
  series: PackedSeries[];
  folded: Record<string, number>;
}

interface OrganizationStatus {
  organization: string;
  title: string;
  first_day: IsoDay | null;
  last_day: IsoDay | null;
  last_settled_day: IsoDay | null;
  missing_days: number;
  last_success_at: string | null;
  last_error: string | null;
  grouping: string;
  month_to_date: DecimalText;
  forecast: DecimalText | null;
  forecast_low: DecimalText | null;
  forecast_high: DecimalText | null;
  required_actions: string[];
  dagster_path: string;
  forecast_as_of: IsoDay | null;
  month_in_other_currencies: string[];
  open_anomalies: number;
}

interface BudgetStatus {
  organization: string;
  budget: string;
  period_start: IsoDay;
  period_end: IsoDay;
  scope: string;
  scope_id: string | null;
  limit: DecimalText;
  spent: DecimalText;
  share: DecimalText | null;
  forecast: DecimalText | null;
  forecast_low: DecimalText | null;
  forecast_high: DecimalText | null;
}

interface AnomalyEntry {
  organization: string;
  day: IsoDay;
  level: string;
  dimensions: Dimension[];
  project: string | null;
  service: string | null;
  model: string | null;
  key: string | null;
  user: string | null;
  actual: DecimalText;
  expected: DecimalText;
  lower: DecimalText;
  upper: DecimalText;
  impact: DecimalText;
  severity: string;
  explanation: string;
  feedback: string | null;
  is_open: boolean;
  dagster_path: string;
  has_daily_range: boolean;
}

interface Mover {
  organization: string;
  project: string | null;
  model: string | null;
  amount: DecimalText;
  earlier_amount: DecimalText;
  change: DecimalText;
  volume: DecimalText;
  price: DecimalText;
  mix: DecimalText;
  unmeasured: DecimalText;
  volume_ratio: DecimalText | null;
  price_ratio: DecimalText | null;
  unit: string | null;
}

interface Comparison {
  name: string;
  first: IsoDay;
  last: IsoDay;
  earlier_first: IsoDay;
  earlier_last: IsoDay;
  movers: Mover[];
  excluded_organizations: string[];
}

interface SpendReport {
  generated_at: string;
  first_day: IsoDay;
  last_day: IsoDay;
  is_simulated: boolean;
  dagster_url: string | null;
  organizations: OrganizationStatus[];
  cube: Cube;
  names: CurrentName[];
  provisional: Record<string, IsoDay[]>;
  missing: Record<string, IsoDay[]>;
  budgets: BudgetStatus[];
  anomalies: AnomalyEntry[];
  comparisons: Comparison[];
  unit_costs: MonthlyUnitCost[];
  restatements: Restatement[];
  other_currencies: OtherCurrencyAmount[];
}

/** A packed series with named fields. */
type Series = Record<Dimension, number | null> & { first: number; amounts: number[]; offsets: number[] | null };
/** A bar of the chart: its label and its first and last day number. */
interface Bar { label: string; first: number; last: number; }
/** A layer of a stacked bar chart: its name and its amount in US dollars for each bar. */
interface Layer { name: string; amounts: number[]; }
/** A cell of a table, or several children of one. */
type CellContent = string | Node | (string | Node)[];
interface Column<Row> { head: string; write: (row: Row) => CellContent; isNumber?: boolean; }

/** The members of Chart.js (vendor/chart.umd.js) that the scripts of the page use. */
declare class Chart {
  constructor(canvas: HTMLCanvasElement, configuration: object);
  destroy(): void;
}
