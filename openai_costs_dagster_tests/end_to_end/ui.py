"""A client of the GraphQL API behind Dagster's UI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx2

_LAUNCHED = "__typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }"
_LAUNCH = f"""
mutation($params: LaunchBackfillParams!) {{ launchPartitionBackfill(backfillParams: $params) {{ {_LAUNCHED} }} }}
"""
_REEXECUTE = f"""
mutation($params: ReexecutionParams!) {{ reexecutePartitionBackfill(reexecutionParams: $params) {{ {_LAUNCHED} }} }}
"""
_BACKFILL = """
query($id: String!) {
  partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status error { message } } }
}
"""
_RUNS = """
query($filter: RunsFilter!) {
  runsOrError(filter: $filter) {
    ... on Runs { results { runId status tags { key value } assetSelection { path } } }
  }
}
"""
_ASSET = """
query($key: AssetKeyInput!, $days: [String!]) {
  assetNodeOrError(assetKey: $key) {
    ... on AssetNode {
      assetPartitionStatuses { ... on TimePartitionStatuses { ranges { startKey endKey status } } }
      latestMaterializationByPartition(partitions: $days) {
        partition runId metadataEntries { label ... on TextMetadataEntry { text } }
      }
    }
  }
}
"""
_CHECK = """
query($key: AssetKeyInput!, $check: String!, $day: String) {
  assetCheckExecutions(assetKey: $key, checkName: $check, partition: $day, limit: 1) {
    status runId evaluation { success description partition targetMaterialization { runId } }
  }
}
"""
_ENDED = {"COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED"}


class Dagster:
    """A client of the Dagster webserver at a URL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx2.Client(base_url=url, trust_env=False, timeout=60)

    def close(self) -> None:
        self._client.close()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx2.Response:
        return self._client.get(path, headers=headers)

    def is_reachable(self) -> bool:
        try:
            return self.get("/server_info").status_code == 200
        except httpx2.HTTPError:
            return False

    def launch_backfill(self, organizations: Sequence[str], days: Sequence[str]) -> str:
        """Launch a backfill of several assets, as the UI dialog does, and return its id."""
        params = {"assetSelection": [_key(name) for name in organizations], "partitionNames": list(days)}
        return self._launched(self.query(_LAUNCH, params=params)["launchPartitionBackfill"])

    def reexecute_from_failure(self, backfill: str) -> str:
        params = {"parentRunId": backfill, "strategy": "FROM_FAILURE"}
        return self._launched(self.query(_REEXECUTE, params=params)["reexecutePartitionBackfill"])

    def ended(self, backfill: str) -> str | None:
        """Return the status of a backfill, or None while it has not ended."""
        status = str(self.query(_BACKFILL, id=backfill)["partitionBackfillOrError"]["status"])
        return status if status in _ENDED else None

    def runs(self, tags: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the runs with all of these tags. The tags of each run are a dictionary."""
        tag_filter = {"tags": [{"key": key, "value": value} for key, value in tags.items()]}
        found = self.query(_RUNS, filter=tag_filter)["runsOrError"]["results"]
        return [{**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in found]

    def partitions(self, organization: str, status: str) -> list[tuple[str, str]]:
        """Return the day ranges of an asset with a status, as first and last day."""
        ranges = self._asset(organization, [])["assetPartitionStatuses"]["ranges"]
        return [(days["startKey"], days["endKey"]) for days in ranges if days["status"] == status]

    def materializations(self, organization: str, days: Sequence[str]) -> list[dict[str, Any]]:
        """Return the latest materialization of each day, with its metadata as a dictionary."""
        return [
            {**found, "metadata": {entry["label"]: entry.get("text") for entry in found["metadataEntries"]}}
            for found in self._asset(organization, days)["latestMaterializationByPartition"]
        ]

    def check(self, organization: str, check: str, day: str) -> dict[str, Any]:
        """Return the latest execution of a check for a day."""
        (execution,) = self.query(_CHECK, key=_key(organization), check=check, day=day)["assetCheckExecutions"]
        return dict(execution)

    def _asset(self, organization: str, days: Sequence[str]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.query(_ASSET, key=_key(organization), days=list(days))["assetNodeOrError"]
        return found

    def _launched(self, response: Mapping[str, Any]) -> str:
        assert response["__typename"] == "LaunchBackfillSuccess", response
        return str(response["backfillId"])

    def query(self, query: str, **variables: Any) -> dict[str, Any]:
        """Execute a GraphQL document and return its data."""
        response = self._client.post("/graphql", json={"query": query, "variables": variables}).json()
        assert "errors" not in response, response
        data: dict[str, Any] = response["data"]
        return data


def _key(organization: str) -> dict[str, list[str]]:
    return {"path": ["openai", organization, "costs"]}
