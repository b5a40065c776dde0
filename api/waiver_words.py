"""What the page for signing says, in its languages."""

from pitstop.domain.waiver import Language, Signing

Words = dict[str, str]

PAGE: dict[Language, Words] = {
    Language.ENGLISH: {
        "title": "Waiver",
        "signed": "Signed",
        "unsigned": "To be signed",
        "back": "Your booking",
        "proof": "What you have signed",
        "name": "Name",
        "at": "Signed at",
        "document": "Document",
        "version": "Version",
        "pdf": "Evidence (PDF)",
        "type": "Type your full name",
        "accept": "I have read this document and accept it. My typed name is my signature.",
        "sign": "Sign",
        "again": "Sign again",
        "not_now": "There is nothing to sign for this booking now.",
        "other": "English",
        "no_name": "Type your name: on one line, with letters, 200 characters at most.",
        "not_accepted": "Tick the box to accept the document. Otherwise nothing is signed.",
        Signing.OUTDATED: "The document has changed since you opened this page. Please read it again, then sign.",
        Signing.NOT_SIGNABLE: "A waiver is signed once the booking is paid, and before its session starts.",
        Signing.NOT_REQUIRED: "A session of this kind needs no waiver.",
    },
    Language.FRENCH: {
        "title": "Décharge",
        "signed": "Signée",
        "unsigned": "À signer",
        "back": "Votre réservation",
        "proof": "Ce que vous avez signé",
        "name": "Nom",
        "at": "Signée le",
        "document": "Document",
        "version": "Version",
        "pdf": "Preuve (PDF)",
        "type": "Tapez votre nom complet",
        "accept": "J'ai lu ce document et je l'accepte. Mon nom tapé vaut ma signature.",
        "sign": "Signer",
        "again": "Signer de nouveau",
        "not_now": "Il n'y a rien à signer pour cette réservation en ce moment.",
        "other": "Français",
        "no_name": "Tapez votre nom : sur une ligne, avec des lettres, 200 caractères au plus.",
        "not_accepted": "Cochez la case pour accepter le document. Sinon, rien n'est signé.",
        Signing.OUTDATED: "Le document a changé depuis que vous avez ouvert cette page. Relisez-le, puis signez.",
        Signing.NOT_SIGNABLE: "Une décharge se signe une fois la réservation payée, et avant le début de la séance.",
        Signing.NOT_REQUIRED: "Une séance de ce genre ne demande pas de décharge.",
    },
}
