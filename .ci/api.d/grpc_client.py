"""A client that grpcio-tools generates from what `gauntlet proto` wrote, against a running service.

    python grpc_client.py FOLDER_OF_GENERATED_CODE GRPC_ADDRESS EVENTS_ADDRESS TOKEN
"""

import sys

import grpc

sys.path.insert(0, sys.argv[1])

from accelbyte.social.statistic.v1 import statistic_pb2, statistic_pb2_grpc  # noqa: E402
from gauntlet import service_pb2, service_pb2_grpc  # noqa: E402
from google.rpc import error_details_pb2, status_pb2  # noqa: E402

who = [("authorization", f"Bearer {sys.argv[4]}")]
game = service_pb2_grpc.ServiceStub(grpc.insecure_channel(sys.argv[2]))
platform = statistic_pb2_grpc.StatisticStatItemUpdatedServiceStub(grpc.insecure_channel(sys.argv[3]))

assert game.HealthCheck(service_pb2.HealthCheckRequest()).status == "healthy"
session = game.InitializePlayer(service_pb2.InitializeRequest(), metadata=who)
assert session.new_assignments == 7, session

event = statistic_pb2.StatItemUpdated(id="grpc-1", user_id="grpc-player")
event.payload.stat_code, event.payload.latest_value, event.payload.inc = "enemy_kills", 12, 12
platform.OnMessage(event)

claim = service_pb2.ClaimRewardRequest(challenge_id="first-steps", goal_id="first-blood")
assert game.ClaimGoalReward(claim, metadata=who).status == "claimed"
try:
    game.ClaimGoalReward(claim, metadata=who)
    sys.exit("claimed twice")
except grpc.RpcError as refused:
    assert refused.code() is grpc.StatusCode.ALREADY_EXISTS, refused
    details = dict(refused.trailing_metadata())["grpc-status-details-bin"]
    info = error_details_pb2.ErrorInfo()
    assert status_pb2.Status.FromString(details).details[0].Unpack(info)
    assert info.reason == "GOAL_ALREADY_CLAIMED", info
print("a generated gRPC client claimed a reward, and was told why not twice")
