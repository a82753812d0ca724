//! SQS: a queue whose messages are looked at one by one, and deleted or left.

use std::time::Duration;

use aws_sdk_sqs::config::Region as SdkRegion;
use aws_sdk_sqs::operation::get_queue_url::GetQueueUrlError;

use super::fault::fault_of;
use super::patient;
use crate::fault::Fault;
use crate::model::Region;

/// How long a receive waits for a message. Any wait makes SQS ask all of its servers, so that an empty answer means an empty
/// queue (Amazon SQS Developer Guide, "Short and long polling").
const WAIT_SECONDS: i32 = 2;

/// A queue.
#[derive(Debug, Clone)]
pub struct Queue {
    client: aws_sdk_sqs::Client,
    url: String,
}

/// A message that nobody else sees for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// SQS's ID of it.
    pub id: String,
    /// Its content.
    pub body: String,
    receipt: String,
}

impl Queue {
    /// The queue of a name in a Region; `None` if there is none.
    ///
    /// # Errors
    /// Any other [`Fault`].
    pub async fn find(config: &aws_config::SdkConfig, region: &Region, name: &str) -> Result<Option<Self>, Fault> {
        const OPERATION: &str = "GetQueueUrl";
        let config =
            aws_sdk_sqs::config::Builder::from(&patient(config)).region(SdkRegion::new(region.0.clone())).build();
        let client = aws_sdk_sqs::Client::from_conf(config);
        match client.get_queue_url().queue_name(name).send().await {
            Ok(reply) => {
                let url = reply.queue_url.ok_or_else(|| Fault::malformed(OPERATION, "QueueUrl"))?;
                Ok(Some(Self { client, url }))
            }
            Err(error) if error.as_service_error().is_some_and(GetQueueUrlError::is_queue_does_not_exist) => Ok(None),
            Err(error) => Err(fault_of(OPERATION, &error)),
        }
    }

    /// The next message, which nobody else gets for that long; `None` if the queue has none to give.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub async fn receive(&self, hidden: Duration) -> Result<Option<Message>, Fault> {
        const OPERATION: &str = "ReceiveMessage";
        let request = self.client.receive_message().queue_url(&self.url).max_number_of_messages(1);
        let seconds = i32::try_from(hidden.as_secs()).unwrap_or(i32::MAX);
        let reply = request.visibility_timeout(seconds).wait_time_seconds(WAIT_SECONDS).send().await;
        let messages = reply.map_err(|error| fault_of(OPERATION, &error))?.messages.unwrap_or_default();
        let Some(message) = messages.into_iter().next() else { return Ok(None) };
        Ok(Some(Message {
            id: message.message_id.ok_or_else(|| Fault::malformed(OPERATION, "MessageId"))?,
            body: message.body.unwrap_or_default(),
            receipt: message.receipt_handle.ok_or_else(|| Fault::malformed(OPERATION, "ReceiptHandle"))?,
        }))
    }

    /// Deletes a message for good.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub async fn delete(&self, message: &Message) -> Result<(), Fault> {
        let request = self.client.delete_message().queue_url(&self.url).receipt_handle(&message.receipt);
        request.send().await.map(drop).map_err(|error| fault_of("DeleteMessage", &error))
    }

    /// Lets others see a message again at once.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub async fn give_back(&self, message: &Message) -> Result<(), Fault> {
        let request = self.client.change_message_visibility().queue_url(&self.url).receipt_handle(&message.receipt);
        let reply = request.visibility_timeout(0).send().await;
        reply.map(drop).map_err(|error| fault_of("ChangeMessageVisibility", &error))
    }
}
