"""What a review costs on AWS, beside people's time."""

import math
from typing import NamedTuple


class Price(NamedTuple):
    """US dollars for one, and AWS' page that says so."""

    dollars: float
    source: str


PRICES_OF = "November 2026, US East (N. Virginia), on demand, without free tiers"
PRICES = {
    "Ground Truth object, 1st to 50,000th of a month": Price(0.08, "sagemaker/groundtruth/pricing"),
    "Ground Truth object, to the 1,000,000th": Price(0.04, "sagemaker/groundtruth/pricing"),
    "Ground Truth object, beyond": Price(0.02, "sagemaker/groundtruth/pricing"),
    "DynamoDB write unit": Price(0.625e-6, "dynamodb/pricing/on-demand"),
    "DynamoDB read unit": Price(0.125e-6, "dynamodb/pricing/on-demand"),
    "S3 PUT": Price(5e-6, "s3/pricing"),
    "Lambda call": Price(0.2e-6, "lambda/pricing"),
    "Lambda GB-second, arm64": Price(0.0000133334, "lambda/pricing"),
}
"""Prices as known then, all below https://aws.amazon.com/; check them before you rely on them."""

_TIERS = (50_000, 1_000_000, math.inf)  # objects of a month, in the order of the prices above


class Cost(NamedTuple):
    """So many of something that has a price, in US dollars."""

    what: str
    number: float
    dollars: float


def ground_truth_costs(pages: int) -> list[Cost]:
    """Return Ground Truth's fee: a page is one object, whatever the number of its pictures or reviewers.

    60,000 pages: 50,000 at 0.08 and 10,000 at 0.04.

    >>> [(cost.number, round(cost.dollars, 2)) for cost in ground_truth_costs(60_000)]
    [(50000, 4000.0), (10000, 400.0)]
    """
    costs, before = [], 0
    for (what, price), upto in zip(PRICES.items(), _TIERS, strict=False):
        number = int(min(pages, upto)) - before
        if number:
            costs.append(Cost(what, number, number * price.dollars))
        before += number
    return costs


def aws_costs(items: int, pages: int, reviewers: int) -> list[Cost]:
    """Return what AWS takes for launching, reviewing and reporting once, beside Ground Truth's fee.

    A row is two write units at launch (the table's and the index') and one for its votes, for each
    reviewer where their answers do not come together, and one read unit in a report; a page is a file,
    an answer another; a function is called for a page and for each of its answers, 0.1 GB-seconds each.

    100,000 items on 4,000 pages, one reviewer: 300,000 write units are 0.19 dollars.

    >>> [(cost.what, int(cost.number), round(cost.dollars, 2)) for cost in aws_costs(100_000, 4_000, 1)][0]
    ('DynamoDB write unit', 300000, 0.19)
    """
    answers = pages * reviewers
    numbers = {
        "DynamoDB write unit": items * (2 + reviewers),
        "DynamoDB read unit": items,
        "S3 PUT": pages + answers,
        "Lambda call": pages + answers,
        "Lambda GB-second, arm64": (pages + answers) / 10,
    }
    return [Cost(what, number, number * PRICES[what].dollars) for what, number in numbers.items() if number]
