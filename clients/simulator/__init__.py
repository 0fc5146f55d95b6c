"""Simulated PayFit and Gryzzly: the true HTTP shapes, limits and failures, over a company given as plain data."""

from clients.simulator.company import Company, company_from_json, company_to_json
from clients.simulator.differences import DIFFERENCES, with_differences
from clients.simulator.gryzzly import gryzzly_app
from clients.simulator.payfit import payfit_app
from clients.simulator.provider import Limit
from clients.simulator.sample import sample_company
from clients.simulator.scenarios import SCENARIOS, Control, Scenario
from clients.simulator.serving import example_company, running, serve

__all__ = [
    "DIFFERENCES",
    "SCENARIOS",
    "Company",
    "Control",
    "Limit",
    "Scenario",
    "company_from_json",
    "company_to_json",
    "example_company",
    "gryzzly_app",
    "payfit_app",
    "running",
    "sample_company",
    "serve",
    "with_differences",
]
