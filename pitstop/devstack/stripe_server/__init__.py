"""A stateful stand-in for Stripe's API, for development and tests: `python -m pitstop.devstack.stripe_server --help`.

It models what Pitstop uses of Stripe (PaymentIntents, Charges, Refunds, Events, webhooks, test cards) after Stripe's
API reference and its pages "Testing", "Idempotent requests", "Errors", "Decline codes" and "Webhooks". Parameters that
do not bear on a card payment are taken and ignored, unknown ones refused. Beyond Stripe it has a control interface
below `/_control`, which makes it misbehave.
"""
