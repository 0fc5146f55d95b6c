"""`python -m clients.simulator payfit --port 8301 --scenario slow-page`."""

import argparse
import json
from pathlib import Path

from clients.simulator import SCENARIOS, company_from_json, serve


def main() -> None:
    scenarios = "\n".join(f"  {name:26} {one.description}" for name, one in SCENARIOS.items())
    parser = argparse.ArgumentParser(
        prog="python -m clients.simulator",
        description="Serve a simulated provider on 127.0.0.1; the key is 'simulated-key'.",
        epilog=f"scenarios:\n{scenarios}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("provider", choices=["payfit", "gryzzly"])
    parser.add_argument("--port", type=int, default=8301)
    parser.add_argument("--scenario", choices=list(SCENARIOS), default="normal", metavar="NAME")
    parser.add_argument("--company", type=Path, help="a company as JSON, instead of the built-in example")
    arguments = parser.parse_args()
    company = company_from_json(json.loads(arguments.company.read_text())) if arguments.company else None
    serve(arguments.provider, arguments.port, arguments.scenario, company=company)


if __name__ == "__main__":
    main()
