"""An IVR application server: VoiceXML 2.1 over SIP and RTP."""

__version__ = "0.1.0"
