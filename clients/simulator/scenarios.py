"""The ways in which a simulated provider misbehaves, by name, and the controls that a test turns while it runs."""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from clients.simulator.company import Company

EVER = 1_000_000_000


@dataclass(frozen=True)
class Scenario:
    """One sentence on what happens, and how. Pages are numbered from 1 within a list, as offset ÷ page size gives them.

    `status`, `seconds`, `html`, `cut` and `trickle` trouble the page `page` (every page when None), `times` times each.
    """

    description: str
    status: int | None = None
    page: int | None = None
    times: int = EVER
    dated: bool = False  # a 429 says when to come back as a date
    seconds: float = 0.0
    html: bool = False
    cut: bool = False
    trickle: bool = False
    key_works_for: int = EVER  # list calls before the key is revoked
    active: bool = True
    withheld_scope: str | None = None
    malformed: bool = False
    repeats: bool = False
    vanishing: bool = False
    counted: bool = True
    largest_limit: int = EVER
    refuses_disabled: bool = False


SCENARIOS: Mapping[str, Scenario] = {
    "normal": Scenario("Everything works."),
    "token-revoked-midway": Scenario("After 3 list calls the key is revoked: 401 from then on.", key_works_for=3),
    "token-inactive": Scenario("PayFit's introspection says that the key is not active.", active=False),
    "missing-scope": Scenario("The key lacks time:read: absences answer 403.", withheld_scope="time:read"),
    "forbidden": Scenario("Every list answers 403.", status=403),
    "page-7-fails-three-times": Scenario("Page 7 of each list answers 500 three times, then works.", 500, 7, 3),
    "page-7-fails-forever": Scenario("Page 7 of each list always answers 500.", 500, 7),
    "server-error": Scenario("Every list answers 503.", 503),
    "not-found": Scenario("Every list answers 404.", 404),
    "slow-page": Scenario("Page 3 of each list takes 60 seconds.", page=3, seconds=60.0),
    "trickling-page": Scenario("Page 3 of each list comes byte by byte, without an end.", page=3, trickle=True),
    "cut-connection": Scenario("Page 2 of each list breaks off in mid-answer twice, then works.", None, 2, 2, cut=True),
    "rate-limited": Scenario("Each page is first answered 429, as the provider does it.", 429, None, 1),
    "rate-limited-date": Scenario(
        "Each page is first answered 429, Retry-After being a date.", 429, None, 1, dated=True
    ),
    "not-json": Scenario("Page 2 of each list is an HTML page under status 200.", page=2, html=True),
    "malformed-absence": Scenario("The second record of each page lacks a date or a name.", malformed=True),
    "repeated-token": Scenario("Page 2 of each list leads to page 2 again, and so on.", repeats=True),
    "vanishing-records": Scenario("Ended contracts, and every tenth record of other lists, are gone.", vanishing=True),
    "missing-count": Scenario("No answer tells how many records there are.", counted=False),
    "small-limit": Scenario("Gryzzly gives at most 3 records a page, whatever is asked for.", largest_limit=3),
    "disabled-users-refused": Scenario("Declarations asked for a disabled user answer 404.", refuses_disabled=True),
}


def _today() -> date:
    return datetime.now(UTC).date()


@dataclass
class Control:
    """What a test reads and turns while a simulator runs; one for each simulator.

    `company` may be replaced at any time: what is served from then on is the new one.
    """

    company: Company
    scenario_name: str = "normal"
    api_key: str = "simulated-key"
    today: Callable[[], date] = _today
    calls: Counter[str] = field(default_factory=Counter)  # per endpoint template, refused ones included
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)  # per endpoint template and status
    request_ids: deque[str] = field(default_factory=lambda: deque(maxlen=1000))
    abandoned: int = 0  # slow answers that the caller did not wait for
    waiting: int = 0  # slow answers that are being waited for
    _troubles: Counter[tuple[str, int]] = field(default_factory=Counter)
    _lists: int = 0

    def __post_init__(self) -> None:
        self.switch(self.scenario_name)

    @property
    def scenario(self) -> Scenario:
        return SCENARIOS[self.scenario_name]

    def switch(self, name: str) -> None:
        """Go on under another scenario, its troubles all to come; the counters go on."""
        if name not in SCENARIOS:
            raise ValueError(f"No scenario is called {name}; there are {', '.join(SCENARIOS)}.")
        self.scenario_name = name
        self._troubles.clear()
        self._lists = 0

    def key_is_revoked(self) -> bool:
        """Counts a list call and says whether it comes after the key was revoked."""
        self._lists += 1
        return self._lists > self.scenario.key_works_for

    def troubles(self, endpoint: str, page: int) -> bool:
        """Whether this page is troubled now; each page of each endpoint has its own count."""
        scenario = self.scenario
        if not (scenario.status or scenario.seconds or scenario.html or scenario.cut or scenario.trickle):
            return False
        if scenario.page not in (None, page) or self._troubles[endpoint, page] >= scenario.times:
            return False
        self._troubles[endpoint, page] += 1
        return True
