"""Data Prep: paths, the expression language, and how a mapping set makes an XDM entity.

From Adobe's "Data Prep mapping functions" and "Handling data formats"; where these are silent, see
`local.aep_platform.assumed`.
"""
