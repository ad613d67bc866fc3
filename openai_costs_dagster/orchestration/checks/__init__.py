"""Asset checks that evaluate stored days, each in a step of its own after its asset.

CONTRIBUTING.md lists the steps for a new check under "Add a check". Checks of fetched data, such as `complete` and
`reconciles`, belong to the modules of their assets in `orchestration/assets/`.
"""
