"""A stateful stand-in for Twilio's Messages API, for development and tests.

It models what Pitstop uses of Twilio (sending a text message, reading messages, status callbacks, replies, opt-outs)
after Twilio's pages "Messages resource", "Webhooks security", "Test credentials" and its error dictionary. Beyond
Twilio it has a control interface below `/_control`, which makes it misbehave, and a page for people at `/`.
`python -m pitstop.devstack.twilio_server --help` says how to run it.
"""
