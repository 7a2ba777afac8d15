"""Which licenses may be used: a policy, and what it refuses.

``LINEAMENT_LICENSE_POLICY`` is the policy in force, see ``LicensePolicy.parse`` (default "any").
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast

from lineament.errors import LicenseError, OptionError

if TYPE_CHECKING:
    from lineament.models.cards import Card


@dataclass(frozen=True, slots=True)
class LicensePolicy:
    """Which models may be used. The first rule that applies decides:

    1. ``deny`` names it or ``deny_licenses`` its license: refused;
    2. ``allow`` names it: accepted, whatever its license (you have bought one, say);
    3. ``licenses`` is not None and its license is not among them: refused;
    4. ``base`` "any" accepts; "commercial" accepts when the license is known to grant commercial
       use, so that "no" and "unknown" are refused; "none" refuses.

    Names of entries and SPDX identifiers are kept apart: an entry called "mit" is not MIT.
    """

    base: Literal["any", "commercial", "none"] = "any"
    licenses: frozenset[str] | None = None
    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()
    deny_licenses: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> LicensePolicy:
        """Read a policy as the command line and the environment give it.

        Clauses are joined by ";":  ``any``, ``commercial`` or ``none``;  ``spdx:MIT,Apache-2.0``
        (only these licenses);  ``allow:NAME,...``;  ``deny:NAME,...``;  ``deny-spdx:ID,...``.
        Examples: ``commercial``,  ``spdx:MIT,Apache-2.0``,  ``commercial;allow:my-model``.

        Raises:
            OptionError: the text is not a policy.
        """
        lists = {"spdx": "licenses", "allow": "allow", "deny": "deny", "deny-spdx": "deny_licenses"}
        values: dict[str, Any] = {}
        for clause in text.split(";"):
            kind, colon, listed = clause.strip().partition(":")
            kind = kind.strip().lower()
            items = [item.strip() for item in listed.split(",")]
            key, value = "base", cast(Any, kind)
            if colon:
                key, value = lists.get(kind, ""), frozenset(items)
            if key == "" or (colon and not all(items)) or (not colon and kind not in _BASES):
                raise OptionError(
                    f"expected clauses such as any, commercial, none, "
                    f"spdx:MIT,Apache-2.0, allow:NAME, deny:NAME or deny-spdx:ID, joined by "
                    f'";", got {clause!r}',
                    option="license_policy",
                )
            if key in values:
                raise OptionError(
                    f'"{kind}" would be set a second time in {text!r}', option="license_policy"
                )
            values[key] = value
        if "allow" in values and not values.keys() & {"base", "licenses"}:
            raise OptionError(
                "allow: makes exceptions from commercial, none or spdx:, say "
                f'which: "none;allow:NAME" for nothing else, got {text!r}',
                option="license_policy",
            )
        return cls(**values)

    @classmethod
    def active(cls) -> LicensePolicy:
        """The policy in force: ``LINEAMENT_LICENSE_POLICY``, "any" when it is not set."""
        return cls.parse(os.environ.get("LINEAMENT_LICENSE_POLICY", "").strip() or "any")

    def __str__(self) -> str:
        """The policy as ``parse`` reads it."""
        lists = {
            "spdx": self.licenses,
            "allow": self.allow,
            "deny": self.deny,
            "deny-spdx": self.deny_licenses,
        }
        clauses = [f"{kind}:{','.join(sorted(items))}" for kind, items in lists.items() if items]
        return ";".join([self.base, *clauses])

    def refusal(self, card: Card) -> str | None:
        """Why the policy refuses this model, or None when it accepts them."""
        license = card.license_weights
        if card.name in self.deny:
            return "the policy denies it by name"
        if _listed(license, self.deny_licenses):
            return f"the policy denies the license {license}"
        if card.name in self.allow:
            return None
        if self.licenses is not None and not _listed(license, self.licenses):
            return f"the policy allows only {', '.join(sorted(self.licenses))}"
        if self.base == "none":
            return "the policy allows only what it names"
        if self.base == "commercial" and card.commercial_use != "yes":
            return (
                "the license forbids commercial use"
                if card.commercial_use == "no"
                else "whether the license grants commercial use is unknown"
            )
        return None

    def check(self, card: Card) -> None:
        """Return if the policy accepts this model.

        Raises:
            LicenseError: it does not; the message names the entry, its license and the reason.
        """
        reason = self.refusal(card)
        if reason is None:
            return
        remedy = replace(
            self,
            allow=self.allow | {card.name},
            deny=self.deny - {card.name},
            deny_licenses=frozenset(
                item for item in self.deny_licenses if not _listed(item, {card.license_weights})
            ),
        )
        raise LicenseError(
            f'license policy "{self}" refuses the weights "{card.name}" (license of the '
            f"weights: {card.license_weights}): {reason}. Choose other weights, or, if you may "
            f'use these, the policy "{remedy}".'
        )


_BASES = ("any", "commercial", "none")


def _listed(license: str, licenses: Collection[str]) -> bool:
    # SPDX identifiers are compared without regard to case (SPDX specification, annex D).
    return license.casefold() in {item.casefold() for item in licenses}
