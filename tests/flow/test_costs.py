"""Costs: by hand, and over the tiers of a large month."""

import pytest

from bulkqa.flow.costs import PRICES, aws_costs, ground_truth_costs


def test_costs_by_hand() -> None:
    """The deployment guide's 100,000 images on 4,000 pages; and the tiers of a large month."""
    assert sum(cost.dollars for cost in ground_truth_costs(4_000)) == pytest.approx(320)
    assert sum(cost.dollars for cost in ground_truth_costs(1_000_000)) == pytest.approx(42_000)
    assert sum(cost.dollars for cost in ground_truth_costs(1_500_000)) == pytest.approx(52_000)
    assert [cost.number for cost in ground_truth_costs(1_500_000)] == [50_000, 950_000, 500_000]
    assert ground_truth_costs(0) == []
    costs = {cost.what: cost for cost in aws_costs(100_000, 4_000, 3)}
    assert {what: cost.number for what, cost in costs.items()} == {
        "DynamoDB write unit": 500_000,
        "DynamoDB read unit": 100_000,
        "S3 PUT": 16_000,
        "Lambda call": 16_000,
        "Lambda GB-second, arm64": 1_600,
    }
    # 0.3125 + 0.0125 + 0.08 + 0.0032 + 0.0213
    assert sum(cost.dollars for cost in costs.values()) == pytest.approx(0.4295, abs=1e-4)
    assert all(cost.what in PRICES for cost in (*costs.values(), *ground_truth_costs(2_000_000)))
