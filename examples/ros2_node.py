"""A ROS 2 node that lets `mbtransfer serve` control a robot: `python ros2_node.py ws://127.0.0.1:8765 [TASK]`.

Topics `observation` and `action` are `std_msgs/Float32MultiArray`, columns in the model's order; a name on the topic
`task` (`std_msgs/String`) is the next task. The token, where the server asks for one, is in MBTRANSFER_TOKEN.
"""

import os
import sys
from typing import Any

from mbtransfer.serve.client import RobotClient


class Bridge:
    """Between a node of rclpy and the server; `numbers` and `text` are the classes of messages."""

    def __init__(self, node: Any, client: RobotClient, numbers: type, text: type) -> None:
        self._node, self._client, self._numbers, self._fault = node, client, numbers, None
        self._actions = node.create_publisher(numbers, "action", 1)
        node.create_subscription(
            numbers, "observation", self.observe, 1
        )  # a queue of one: no old observation
        node.create_subscription(text, "task", lambda message: self.pursue(message.data), 1)

    def pursue(self, task: str) -> None:
        try:
            self._client.pursue(task=task)
            self._node.get_logger().info(f"pursues {task}")
        except ValueError as error:
            self._node.get_logger().error(str(error))

    def observe(self, message: Any) -> None:
        answer = self._client.act(message.data)
        if answer["fault"] != self._fault:
            self._fault = answer["fault"]
            self._node.get_logger().warning(f"safe action: {answer['why']}" if self._fault else "plans again")
        self._actions.publish(self._numbers(data=answer["action"]))


def main(address: str, task: str | None = None) -> None:
    import rclpy  # part of ROS 2, which is not installed from a package registry
    from std_msgs.msg import Float32MultiArray, String

    client = RobotClient(address, os.environ.get("MBTRANSFER_TOKEN"))
    rclpy.init()
    node = rclpy.create_node("mbtransfer")
    bridge = Bridge(node, client, Float32MultiArray, String)
    if task is not None:
        bridge.pursue(task)
    try:
        rclpy.spin(node)
    finally:
        client.close()
        node.destroy_node()
        rclpy.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:3])
