"""Settings: what the operator decided, checked once at start and frozen.

`load()` reads a TOML file and the environment into one `Settings`, or raises `SettingsError` whose
text names the file, the line, the key and what was expected. `resolve_number()` answers which
application a dialled number belongs to, and `destination()` answers where a dialled-out call may
go: both are pure functions of the settings, kept beside the settings they interpret.
"""

from vxml_server.settings.dialling import DialRefused, allows, destination
from vxml_server.settings.keeping import (
    FormerTarget,
    RecordingRule,
    RecordingSettings,
    StoreSettings,
)
from vxml_server.settings.loading import SettingsError, load
from vxml_server.settings.model import (
    FetchSettings,
    LogSettings,
    ScriptSettings,
    Settings,
    VoiceXmlSettings,
    WebSettings,
)
from vxml_server.settings.numbers import resolve_number
from vxml_server.settings.speech import (
    AsrSettings,
    PiperSettings,
    PiperVoice,
    Pyttsx3Settings,
    ServiceSettings,
    ServiceVoice,
    TtsSettings,
)
from vxml_server.settings.telephony import (
    Credential,
    DialSettings,
    MediaSettings,
    NumberRule,
    RegistrarSettings,
    SipSettings,
    TrunkSettings,
)
from vxml_server.settings.values import Listen, parse_key
from vxml_server.settings.voicemail import MailSettings, VoicemailSettings

__all__ = [
    "AsrSettings",
    "Credential",
    "DialRefused",
    "DialSettings",
    "FetchSettings",
    "FormerTarget",
    "Listen",
    "LogSettings",
    "MailSettings",
    "MediaSettings",
    "NumberRule",
    "PiperSettings",
    "PiperVoice",
    "Pyttsx3Settings",
    "RecordingRule",
    "RecordingSettings",
    "RegistrarSettings",
    "ScriptSettings",
    "ServiceSettings",
    "ServiceVoice",
    "Settings",
    "SettingsError",
    "SipSettings",
    "StoreSettings",
    "TrunkSettings",
    "TtsSettings",
    "VoiceXmlSettings",
    "VoicemailSettings",
    "WebSettings",
    "allows",
    "destination",
    "load",
    "parse_key",
    "resolve_number",
]
