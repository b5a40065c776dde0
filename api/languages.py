"""Which of our languages a client would rather have (RFC 9110, 12.5.4)."""

from pitstop.domain.notices import Language


def preferred(accept_language: str) -> Language:
    """The one that it gives the highest weight; English where it names neither, or says nothing that can be read."""
    weights: dict[Language, float] = {}
    for part in accept_language.split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        primary = name.partition("-")[0].lower()
        if primary in set(Language):
            weights[Language(primary)] = max(weights.get(Language(primary), 0.0), _weight(parameters))
    best = max(weights.values(), default=0.0)
    return next((language for language in weights if weights[language] == best and best > 0), Language.EN)


def _weight(parameters: list[str]) -> float:
    given = [parameter[2:] for parameter in parameters if parameter.startswith("q=")]
    try:
        return min(float(given[0]), 1.0) if given else 1.0
    except ValueError:
        return 0.0
