"""Every sentence that a person meets, in every language the product speaks.

A message has a key and one text a language; `message()` picks the nearest language and falls back
to English. A test holds that no text is missing.
"""

from __future__ import annotations

from collections.abc import Mapping

FALLBACK = "en"
LANGUAGES = ("en", "fr")

MESSAGES: Mapping[str, Mapping[str, str]] = {
    "caller.error": {
        "en": "Sorry, a technical problem has occurred. Please call again later.",
        "fr": "Désolé, un problème technique est survenu. Veuillez rappeler plus tard.",
    },
    "caller.help": {
        "en": "Sorry, no help is available here.",
        "fr": "Désolé, aucune aide n'est disponible ici.",
    },
    "caller.nomatch": {
        "en": "Sorry, I did not understand.",
        "fr": "Désolé, je n'ai pas compris.",
    },
    "caller.too_long": {
        "en": "Sorry, that was too long.",
        "fr": "Désolé, c'était trop long.",
    },
    "caller.use_keys": {
        "en": "I cannot listen to you just now. Please use the keys of your telephone.",
        "fr": "Je ne peux pas vous écouter pour le moment. "
        "Veuillez utiliser les touches de votre téléphone.",
    },
    # The mail that tells of a message in a box of voicemail.
    "mail.subject": {
        "en": "New voice message: {caller}, {duration}",
        "fr": "Nouveau message vocal : {caller}, {duration}",
    },
    "mail.unknown_caller": {"en": "unknown number", "fr": "numéro inconnu"},
    "mail.body": {
        "en": "A message was left in the box {box}.\n\n"
        "From: {caller}\n"
        "Received: {left_at}\n"
        "Duration: {duration}\n"
        "New messages in this box: {new}\n\n"
        "{hint}\n",
        "fr": "Un message a été laissé dans la boîte {box}.\n\n"
        "De : {caller}\n"
        "Reçu : {left_at}\n"
        "Durée : {duration}\n"
        "Nouveaux messages dans cette boîte : {new}\n\n"
        "{hint}\n",
    },
    "mail.attached": {"en": "The message is attached.", "fr": "Le message est joint."},
    "mail.not_attached": {
        "en": "Call your voicemail to hear it.",
        "fr": "Appelez votre messagerie pour l'écouter.",
    },
    "mail.too_long": {
        "en": "It is too long to be attached. Call your voicemail to hear it.",
        "fr": "Il est trop long pour être joint. Appelez votre messagerie pour l'écouter.",
    },
    # What a caller says for the commands that are always there (VoiceXML 2.0 section 6.3.6).
    "universal.cancel": {"en": "cancel", "fr": "annuler"},
    "universal.exit": {"en": "exit", "fr": "quitter"},
    "universal.help": {"en": "help", "fr": "aide"},
}


def language(lang: str) -> str:
    """The catalogue's language nearest to a language tag (`fr-CA` -> `fr`)."""
    primary = lang.replace("_", "-").split("-")[0].lower()
    return primary if primary in LANGUAGES else FALLBACK


def message(key: str, lang: str) -> str:
    """The text of a message; KeyError for a key that is not in the catalogue."""
    return MESSAGES[key][language(lang)]
