"""The tests of what is around the code: the recipes for those who change it, links, releases."""
