"""The room of keys: in-band tones, telephone events, SIP INFO."""
