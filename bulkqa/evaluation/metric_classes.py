"""The classes of metrics that TFMA 0.52 and Keras know, and what a metric of each is called by default."""

import re
from collections.abc import Mapping
from typing import Any

from bulkqa.errors import InputError

_TFMA = """
    AUC AUCPrecisionRecall BalancedAccuracy BinaryAccuracy BinaryCrossEntropy Bleu BooleanFlipRates
    COCOAveragePrecision COCOAverageRecall COCOMeanAveragePrecision COCOMeanAverageRecall Calibration
    CalibrationPlot CategoricalCrossEntropy CoefficientOfDiscrimination ConfusionMatrixAtThresholds
    ConfusionMatrixPlot DiagnosticOddsRatio ExactMatch ExampleCount F1Score FN FNR FP FPR FallOut
    FalseDiscoveryRate FalseNegativeFeatureSampler FalseNegatives FalseOmissionRate
    FalsePositiveFeatureSampler FalsePositives FixedSizeSample FowlkesMallowsIndex Informedness Markedness
    MatthewsCorrelationCoefficient MaxRecall Mean MeanAbsoluteAttributions MeanAbsoluteError
    MeanAbsolutePercentageError MeanAttributions MeanLabel MeanPrediction MeanSquaredError
    MeanSquaredLogarithmicError MinLabelPosition MissRate ModelCosineSimilarity
    MultiClassConfusionMatrixAtThresholds MultiClassConfusionMatrixPlot MultiLabelConfusionMatrixPlot NDCG
    NPV NegToNegFlipRate NegToPosFlipRate NegativeLikelihoodRatio NegativePredictiveValue
    ObjectDetectionConfusionMatrixPlot ObjectDetectionMaxRecall ObjectDetectionPrecision
    ObjectDetectionPrecisionAtRecall ObjectDetectionRecall ObjectDetectionThresholdAtRecall PPV
    PosToNegFlipRate PosToPosFlipRate PositiveLikelihoodRatio Precision PrecisionAtRecall
    PredictedPositiveRate Prevalence PrevalenceThreshold QueryStatistics Recall RecallAtFalsePositiveRate
    RecallAtPrecision RelativeCoefficientOfDiscrimination Rouge ScoreDistributionPlot
    SemanticSegmentationConfusionMatrix SemanticSegmentationFalsePositive SemanticSegmentationTruePositive
    SensitivityAtSpecificity SetMatchPrecision SetMatchRecall Specificity SpecificityAtSensitivity
    SquaredPearsonCorrelation SymmetricFlipRate SymmetricPredictionDifference TN TNR TP TPR ThreatScore
    ThresholdAtRecall TotalAbsoluteAttributions TotalAttributions TrueNegatives TruePositives
    WeightedExampleCount
"""
_KERAS = """
    Accuracy BinaryCrossentropy BinaryIoU CategoricalAccuracy CategoricalCrossentropy CategoricalHinge
    CosineSimilarity FBetaScore Hinge IoU KLDivergence LogCoshError MeanIoU MeanRelativeError MeanTensor
    OneHotIoU OneHotMeanIoU Poisson R2Score RootMeanSquaredError SparseCategoricalAccuracy
    SparseCategoricalCrossentropy SparseTopKCategoricalAccuracy SquaredHinge Sum TopKCategoricalAccuracy
"""
KNOWN = frozenset(f"{_TFMA} {_KERAS}".split())

_OWN_NAMES = {
    "BinaryCrossEntropy": "binary_crossentropy",
    "Bleu": "BLEU",
    "COCOAveragePrecision": "average_precision",
    "COCOAverageRecall": "average_recall",
    "COCOMeanAveragePrecision": "mean_average_precision",
    "COCOMeanAverageRecall": "mean_average_recall",
    "CategoricalCrossEntropy": "categorical_crossentropy",
    "ObjectDetectionConfusionMatrixPlot": "confusion_matrix_plot",
    "SemanticSegmentationFalsePositive": "semantic_segmentation_false_positives",
    "SemanticSegmentationTruePositive": "semantic_segmentation_true_positives",
}
"""Those whose name is not that of the class with underscores."""


def metric_name(class_name: str, settings: Mapping[str, Any], module: str = "") -> str:
    """Return what the metric is called that a class makes with these settings.

    A class of a module of one's own is taken as it is. Raises `InputError` for one that nobody knows.

    >>> [metric_name(name, {}) for name in ("AUC", "F1Score", "RootMeanSquaredError")]
    ['auc', 'f1_score', 'root_mean_squared_error']
    >>> metric_name("AUC", {"name": "auc_pr", "curve": "PR"})
    'auc_pr'
    >>> metric_name("TotalWeightedExample", {})
    Traceback (most recent call last):
    bulkqa.errors.InputError: no metric of TFMA or Keras is called 'TotalWeightedExample'
    """
    if class_name not in KNOWN and not module:
        raise InputError(f"no metric of TFMA or Keras is called {class_name!r}")
    name = settings.get("name")
    if name is not None and not isinstance(name, str):
        raise InputError(f"the name {name!r} is no text")
    return name or _default_name(class_name, settings)


def _default_name(class_name: str, settings: Mapping[str, Any]) -> str:
    path = settings.get("feature_key_path")
    if class_name == "Mean" and isinstance(path, list):
        return f"mean_{'.'.join(map(str, path))}"
    if class_name == "Rouge":
        return str(settings.get("rouge_type", "rouge"))
    words = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", class_name)
    return _OWN_NAMES.get(class_name) or re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()
