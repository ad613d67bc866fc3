"""The workloads of three fictional companies: a research lab, a shop and a startup.

All ids, names and addresses contain the word "simulated", so that they cannot belong to a real company.
"""

from dataclasses import replace

from openai_costs_dagster.simulator import catalogue
from openai_costs_dagster.simulator.workloads import ApiKey, Meter, Project, User, Workload

_FLAGSHIP_MODEL = "gpt-5.5-2026-04-23"
_MINI_MODEL = "gpt-5-mini-2025-08-07"


def _user(name: str, company: str) -> User:
    return User(f"user-simulated-{name}", f"{name}@{company}-simulated.example")


def _key(name: str, user: User | None = None) -> ApiKey:
    return ApiKey(f"key_simulated_{name}", user)


def _chat(project: Project, key: ApiKey, model: str, meters: tuple[Meter, ...], volume: float) -> Workload:
    return Workload(meters, volume, "completions", model, project, key)


def _occasional() -> tuple[Workload, ...]:
    """Return workloads that rarely occur, without a project or API key: a credit, and costs without a line item."""
    return (
        Workload(catalogue.PROMOTIONAL_CREDIT, 250, "", chance=0.03, weekend=1.0),
        Workload(catalogue.WITHOUT_LINE_ITEM, 400, "", chance=0.06, weekend=1.0),
        Workload(catalogue.EMPTY_LINE_ITEM, 300, "", chance=0.05, weekend=1.0),
    )


def _lab() -> tuple[Workload, ...]:
    research = Project("proj_simulated_research", "Foundation research")
    retrieval = Project("proj_simulated_retrieval", "Search & retrieval")
    nightly = Project("proj_simulated_nightly", "Nightly batch")
    evaluation = Project("proj_simulated_evaluation", "Evaluation")
    workshop = Project("proj_simulated_workshop", "Müller's workshop")
    ada, lin, noor = (_user(name, "lumen") for name in ("ada", "lin", "noor"))
    ada_key, lin_key, noor_key = _key("lumen_ada", ada), _key("lumen_lin", lin), _key("lumen_noor", noor)
    service, night, tests = _key("lumen_retrieval"), _key("lumen_nightly"), _key("lumen_evals")
    flagship = (*catalogue.FLAGSHIP, catalogue.FLAGSHIP_CACHE_WRITES)
    return (
        replace(_chat(research, ada_key, _FLAGSHIP_MODEL, flagship, 9_000_000), weekend=0.5),
        replace(_chat(research, lin_key, _FLAGSHIP_MODEL, flagship, 6_000_000), agents=0.3),
        _chat(research, lin_key, "gpt-5.6-sol", catalogue.PRIORITY_LONG, 1_500_000),
        _chat(retrieval, service, _MINI_MODEL, catalogue.MINI, 60_000_000),
        _chat(retrieval, service, "gpt-5-search-api-2025-10-14", catalogue.SEARCH, 900_000),
        Workload(catalogue.EMBEDDINGS_LARGE, 80_000_000, "embeddings", "text-embedding-3-large", retrieval, service),
        Workload(catalogue.WEB_SEARCH, 700, "web_search_calls", None, retrieval, service, units_per_request=1),
        Workload(catalogue.FILE_SEARCH, 900, "file_search_calls", None, retrieval, service, units_per_request=1),
        Workload(catalogue.VECTOR_STORAGE, 2_400, "vector_stores", None, retrieval, weekend=1.0),
        replace(_chat(nightly, night, _MINI_MODEL, catalogue.BATCH_MINI, 90_000_000), weekend=0),
        Workload(
            catalogue.BATCH_EMBEDDINGS,
            200_000_000,
            "embeddings",
            "text-embedding-3-small",
            nightly,
            night,
            weekend=0,
        ),
        _chat(evaluation, tests, "gpt-4o-mini-2024-07-18", catalogue.EVALS, 8_000_000),
        _chat(evaluation, noor_key, _FLAGSHIP_MODEL, catalogue.FLAGSHIP, 800_000),
        _chat(evaluation, noor_key, "ft-gpt-4o-2024-08-06", catalogue.FINE_TUNED, 1_200_000),
        _chat(workshop, noor_key, _MINI_MODEL, catalogue.MINI, 1_500_000),
        Workload(catalogue.IMAGES, 60_000, "images", "gpt-image-1", workshop, noor_key),
        Workload(catalogue.AUDIO, 120_000, "completions", "gpt-audio-mini-2025-12-15", workshop, noor_key),
        Workload(catalogue.WHISPER, 9_000, "audio_transcriptions", "whisper", workshop, noor_key),
        Workload(catalogue.CODE_INTERPRETER, 25, "code_interpreter_sessions", None, workshop, noor_key),
        *_occasional(),
    )


def _shop() -> tuple[Workload, ...]:
    storefront = Project("proj_simulated_storefront", "Storefront")
    support = Project("proj_simulated_support", "Support desk")
    nightly = Project("proj_simulated_catalogue", "Catalogue batch")
    vera, omar = _user("vera", "acme"), _user("omar", "acme")
    front, desk = _key("acme_storefront"), _key("acme_support", vera)
    omar_key, night = _key("acme_omar", omar), _key("acme_batch")
    return (
        replace(_chat(storefront, front, _MINI_MODEL, catalogue.MINI, 24_000_000), weekend=0.8, agents=0.2),
        Workload(
            catalogue.EMBEDDINGS_SMALL,
            30_000_000,
            "embeddings",
            "text-embedding-3-small",
            storefront,
            front,
            weekend=0.8,
        ),
        Workload(catalogue.VECTOR_STORAGE, 400, "vector_stores", None, storefront, weekend=1.0),
        _chat(support, desk, _FLAGSHIP_MODEL, catalogue.FLAGSHIP, 1_100_000),
        Workload(catalogue.WEB_SEARCH, 120, "web_search_calls", None, support, desk, units_per_request=1),
        replace(_chat(nightly, night, _MINI_MODEL, catalogue.BATCH_MINI, 20_000_000), weekend=0),
        Workload(catalogue.IMAGES, 90_000, "images", "gpt-image-1", storefront, omar_key, chance=0.7),
        Workload(catalogue.SPEECH, 40_000, "audio_speeches", "tts-1", support, omar_key),
        *_occasional(),
    )


def _startup() -> tuple[Workload, ...]:
    product = Project("proj_simulated_product", "Product")
    kit = _key("nimbus_kit", _user("kit", "nimbus"))
    return (
        replace(_chat(product, kit, _FLAGSHIP_MODEL, catalogue.FLAGSHIP, 300_000), agents=0.5, weekend=0.6),
        _chat(product, kit, "gpt-5-search-api-2025-10-14", catalogue.SEARCH, 200_000),
        Workload(
            catalogue.EMBEDDINGS_SMALL,
            2_000_000,
            "embeddings",
            "text-embedding-3-small",
            product,
            kit,
            begins=14,
        ),
        _occasional()[0],
    )


LAB, SHOP, STARTUP = _lab(), _shop(), _startup()
