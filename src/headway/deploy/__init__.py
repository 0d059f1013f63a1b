"""The stage that puts a model to work: request contract, predictor, batch, and what is in service.

``contract`` says what a request may hold, ``predictor`` answers, ``batch`` answers for files, ``serving`` publishes
which release is in service and follows it.
"""
