"""Pendo webhooks into Adobe Experience Platform (AEP), by way of Google Pub/Sub.

Data goes one way: `receive` (webhook -> signature -> event -> publisher) and `deliver` (push ->
xdm -> inlet). The modules without network or framework are the rules; the others carry them out.
"""
