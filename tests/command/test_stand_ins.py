"""The queues of `local_aws`, as boto3 finds them: what the tests of `redrive` rest on."""

import pytest

QUEUE = "access-entry-guard-failed-invocations"


@pytest.fixture
def queue(aws):
    """A client of SQS and the URL of a queue with one message."""
    (message_id,) = aws.do("queue", name=QUEUE, bodies=["body"])
    client = aws.client("sqs")
    url = client.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    return client, url, message_id


def receive(queue, **members) -> list[dict]:
    client, url, _ = queue
    return client.receive_message(QueueUrl=url, **members).get("Messages", [])


def test_a_message_is_hidden_for_as_long_as_its_receiver_said(aws, queue):
    (message,) = receive(queue, VisibilityTimeout=1200)

    assert (message["MessageId"], message["Body"]) == (queue[2], "body")
    assert receive(queue) == []
    (shown,) = aws.do("queued", name=QUEUE)
    assert 1190 < shown["hiddenSeconds"] <= 1200


def test_only_the_last_receipt_deletes_a_message(aws, queue):
    client, url, _ = queue
    (first,) = receive(queue, VisibilityTimeout=0)
    (second,) = receive(queue)

    client.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    assert len(aws.do("queued", name=QUEUE)) == 1
    client.delete_message(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"])
    assert aws.do("queued", name=QUEUE) == []


def test_a_message_can_be_shown_again_while_it_is_hidden_and_not_after_that(queue):
    client, url, _ = queue
    (message,) = receive(queue)
    again = {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}

    client.change_message_visibility(**again)

    with pytest.raises(client.exceptions.MessageNotInflight):
        client.change_message_visibility(**again)
    assert len(receive(queue)) == 1


def test_a_queue_that_is_not_there_is_refused(aws):
    client = aws.client("sqs")
    with pytest.raises(client.exceptions.QueueDoesNotExist):
        client.get_queue_url(QueueName=QUEUE)
