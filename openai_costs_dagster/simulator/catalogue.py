"""The line items that the simulated OpenAI bills, with their prices in US dollars.

The labels have the format of the live API. The prices have the right order of magnitude, but are not OpenAI's prices.
"""

from decimal import Decimal

from openai_costs_dagster.simulator.workloads import Meter

# Storage costs 0.10 USD per GiB and day, but is billed by the hour. The price per hour is the only price with a
# repeating decimal.
_GIBIBYTE_HOUR = Decimal("0.004166666666666666666666667")


def chat(
    model: str,
    prices: tuple[str, str, str],
    *,
    tier: str = "",
    context: str = "",
    output: float = 0.2,
    cached: float = 0.4,
    idle: float = 0.0,
) -> tuple[Meter, ...]:
    """Return the line items of a text model: input, cached input and output.

    `prices` contains the US dollars per million tokens of each of the three. The volume of a workload counts input
    tokens. `cached` and `output` are the numbers of cached input tokens and output tokens per input token.
    """
    name = f"{tier} | {model}" if tier else model
    return (
        Meter(f"{name}, input{context}", per_million(prices[0])),
        Meter(f"{name}, cached input{context}", per_million(prices[1]), share=cached, idle=idle),
        Meter(f"{name}, output{context}", per_million(prices[2]), share=output),
    )


def plain(
    label: str, price: Decimal, *, share: float = 1.0, unit: str | None = "tokens", counted: bool = True
) -> Meter:
    """Return a line item that is billed per unit, in contrast to the tokens of a text model."""
    return Meter(label, price, share=share, unit=unit, counted=counted)


def per_million(price: str) -> Decimal:
    """Return the price of one token, given the price of a million tokens."""
    return Decimal(price).scaleb(-6)


FLAGSHIP = chat("gpt-5.5-2026-04-23", ("5", "0.5", "30"))
FLAGSHIP_CACHE_WRITES = plain("gpt-5.5-2026-04-23, cache writes", per_million("6.25"), share=0.1)
PRIORITY_LONG = chat("gpt-5.6-sol", ("20", "2", "90"), tier="priority", context=", long context", output=0.05)
MINI = chat("gpt-5-mini-2025-08-07", ("0.25", "0.025", "2"))
SEARCH = chat("gpt-5-search-api-2025-10-14", ("1.25", "0.125", "10"), idle=0.6)
BATCH_MINI = chat("gpt-5-mini-2025-08-07", ("0.125", "0.0125", "1"), tier="batch", output=0.4)
EVALS = chat("gpt-4o-mini-2024-07-18", ("0.15", "0.075", "0.6"), tier="evals", idle=0.3)
FINE_TUNED = chat("ft-gpt-4o-2024-08-06", ("3.75", "1.875", "15"), idle=0.25)

EMBEDDINGS_SMALL = (plain("text-embedding-3-small, input", per_million("0.02")),)
EMBEDDINGS_LARGE = (plain("text-embedding-3-large, input", per_million("0.13")),)
BATCH_EMBEDDINGS = (plain("batch | text-embedding-3-small, input", per_million("0.01")),)
IMAGES = (
    plain("gpt-image-1 text, input", per_million("5"), share=0.05),
    plain("gpt-image-1 image, output", per_million("40")),
)
AUDIO = (
    plain("gpt-audio-mini-2025-12-15 audio, input", per_million("10")),
    plain("gpt-audio-mini-2025-12-15 text, output", per_million("2.4"), share=0.3),
)
WHISPER = (plain("whisper", Decimal("0.0001"), unit="duration_seconds"),)
SPEECH = (plain("tts-1", per_million("15"), unit="characters"),)

WEB_SEARCH = (plain("web search tool calls", Decimal("0.01"), unit=None, counted=False),)
FILE_SEARCH = (plain("assistants api | file search", Decimal("0.0025"), unit=None, counted=False),)
CODE_INTERPRETER = (plain("Code interpreter sessions", Decimal("0.03"), unit=None, counted=False),)
VECTOR_STORAGE = (plain("Vector storage", _GIBIBYTE_HOUR, unit="gibibyte_hours"),)

# The live API also returns negative amounts, and line items whose label is null or an empty string.
PROMOTIONAL_CREDIT = (Meter("Promotional credit", Decimal("-0.01"), unit=None, counted=False),)
WITHOUT_LINE_ITEM = (Meter(None, Decimal("0.0001"), unit=None, counted=False),)
EMPTY_LINE_ITEM = (Meter("", Decimal("0.0001"), unit=None, counted=False),)
