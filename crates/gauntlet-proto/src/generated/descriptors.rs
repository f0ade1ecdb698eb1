b"\
\n\xbe\x01\n\x1bgoogle/protobuf/empty.proto\x12\x0fgoogle.protobuf\"\x07\n\x05EmptyB}\n\x13com.googl\
e.protobufB\nEmptyProtoP\x01Z.google.golang.org/protobuf/types/known/emptypb\xf8\x01\x01\xa2\x02\x03\
GPB\xaa\x02\x1eGoogle.Protobuf.WellKnownTypesb\x06proto3\n\xd5\x04\n&accelbyte/iam/account/v1/accoun\
t.proto\x12\x18accelbyte.iam.account.v1\x1a\x1bgoogle/protobuf/empty.proto\"\xe5\x02\n\x0cUserLogged\
In\x12@\n\x07payload\x18\x01 \x01(\x0b2&.accelbyte.iam.account.v1.LoginDetailsR\x07payload\x12\x0e\n\
\x02id\x18\x02 \x01(\tR\x02id\x12\x18\n\x07version\x18\x03 \x01(\x03R\x07version\x12\x12\n\x04name\x18\
\x04 \x01(\tR\x04name\x12\x1c\n\tnamespace\x18\x05 \x01(\tR\tnamespace\x12)\n\x10parent_namespace\x18\
\x06 \x01(\tR\x0fparentNamespace\x12\x1c\n\ttimestamp\x18\x07 \x01(\tR\ttimestamp\x12\x1b\n\tclient_\
id\x18\x08 \x01(\tR\x08clientId\x12\x17\n\x07user_id\x18\t \x01(\tR\x06userId\x12\x19\n\x08trace_id\x18\
\n \x01(\tR\x07traceId\x12\x1d\n\nsession_id\x18\x0b \x01(\tR\tsessionId\"\x0e\n\x0cLoginDetails2t\n\
%UserAuthenticationUserLoggedInService\x12K\n\tOnMessage\x12&.accelbyte.iam.account.v1.UserLoggedIn\x1a\
\x16.google.protobuf.Emptyb\x06proto3\n\xd2\x05\n-accelbyte/social/statistic/v1/statistic.proto\x12\x1d\
accelbyte.social.statistic.v1\x1a\x1bgoogle/protobuf/empty.proto\"\xce\x02\n\x0fStatItemUpdated\x12A\
\n\x07payload\x18\x01 \x01(\x0b2\'.accelbyte.social.statistic.v1.StatItemR\x07payload\x12\x0e\n\x02i\
d\x18\x02 \x01(\tR\x02id\x12\x18\n\x07version\x18\x03 \x01(\x03R\x07version\x12\x12\n\x04name\x18\x04\
\x20\x01(\tR\x04name\x12\x1c\n\tnamespace\x18\x05 \x01(\tR\tnamespace\x12)\n\x10parent_namespace\x18\
\x06 \x01(\tR\x0fparentNamespace\x12\x1c\n\ttimestamp\x18\x07 \x01(\tR\ttimestamp\x12\x1b\n\tclient_\
id\x18\x08 \x01(\tR\x08clientId\x12\x17\n\x07user_id\x18\t \x01(\tR\x06userId\x12\x1d\n\nsession_id\x18\
\n \x01(\tR\tsessionId\"\x93\x01\n\x08StatItem\x12\x1c\n\tnamespace\x18\x01 \x01(\tR\tnamespace\x12\x1b\
\n\tstat_code\x18\x02 \x01(\tR\x08statCode\x12\x17\n\x07user_id\x18\x03 \x01(\tR\x06userId\x12!\n\x0c\
latest_value\x18\x04 \x01(\x01R\x0blatestValue\x12\x10\n\x03inc\x18\x05 \x01(\x01R\x03inc2v\n\x1fSta\
tisticStatItemUpdatedService\x12S\n\tOnMessage\x12..accelbyte.social.statistic.v1.StatItemUpdated\x1a\
\x16.google.protobuf.Emptyb\x06proto3\n\xac\x04\n\x1fgauntlet/events/v1/events.proto\x12\x12gauntlet\
.events.v1\x1a&accelbyte/iam/account/v1/account.proto\x1a-accelbyte/social/statistic/v1/statistic.pr\
oto\"\xda\x01\n\x05Event\x12\x1a\n\x08sequence\x18\x01 \x01(\x04R\x08sequence\x12N\n\x0euser_logged_\
in\x18\x02 \x01(\x0b2&.accelbyte.iam.account.v1.UserLoggedInH\x00R\x0cuserLoggedIn\x12\\\n\x11stat_i\
tem_updated\x18\x03 \x01(\x0b2..accelbyte.social.statistic.v1.StatItemUpdatedH\x00R\x0fstatItemUpdat\
edB\x07\n\x05event\"g\n\x03Ack\x12\x1a\n\x08sequence\x18\x01 \x01(\x04R\x08sequence\x12\x12\n\x04cod\
e\x18\x02 \x01(\x05R\x04code\x12\x16\n\x06reason\x18\x03 \x01(\tR\x06reason\x12\x18\n\x07message\x18\
\x04 \x01(\tR\x07message2P\n\x0bEventStream\x12A\n\x07Publish\x12\x19.gauntlet.events.v1.Event\x1a\x17\
.gauntlet.events.v1.Ack(\x010\x01b\x06proto3\n\xe0$\n\x16gauntlet/service.proto\x12\x07service\"\x1b\
\n\x19GetCatalogueStatusRequest\"\x18\n\x16ReloadCatalogueRequest\"s\n\x0fCatalogueStatus\x12\x18\n\x07\
version\x18\x01 \x01(\x05R\x07version\x12%\n\x0enewest_version\x18\x02 \x01(\x05R\rnewestVersion\x12\
\x1f\n\x0bwaiting_for\x18\x03 \x03(\tR\nwaitingFor\"7\n\x14GetChallengesRequest\x12\x1f\n\x0bactive_\
only\x18\x01 \x01(\x08R\nactiveOnly\"K\n\x15GetChallengesResponse\x122\n\nchallenges\x18\x01 \x03(\x0b\
2\x12.service.ChallengeR\nchallenges\"Y\n\x13GetChallengeRequest\x12!\n\x0cchallenge_id\x18\x01 \x01\
(\tR\x0bchallengeId\x12\x1f\n\x0bactive_only\x18\x02 \x01(\x08R\nactiveOnly\"\x13\n\x11InitializeReq\
uest\"\x9e\x01\n\x12InitializeResponse\x12<\n\x0eassigned_goals\x18\x01 \x03(\x0b2\x15.service.Assig\
nedGoalR\rassignedGoals\x12\'\n\x0fnew_assignments\x18\x02 \x01(\x05R\x0enewAssignments\x12!\n\x0cto\
tal_active\x18\x03 \x01(\x05R\x0btotalActive\"o\n\x14SetGoalActiveRequest\x12!\n\x0cchallenge_id\x18\
\x01 \x01(\tR\x0bchallengeId\x12\x17\n\x07goal_id\x18\x02 \x01(\tR\x06goalId\x12\x1b\n\tis_active\x18\
\x03 \x01(\x08R\x08isActive\"\xab\x01\n\x15SetGoalActiveResponse\x12!\n\x0cchallenge_id\x18\x01 \x01\
(\tR\x0bchallengeId\x12\x17\n\x07goal_id\x18\x02 \x01(\tR\x06goalId\x12\x1b\n\tis_active\x18\x03 \x01\
(\x08R\x08isActive\x12\x1f\n\x0bassigned_at\x18\x04 \x01(\tR\nassignedAt\x12\x18\n\x07message\x18\x05\
\x20\x01(\tR\x07message\"P\n\x12ClaimRewardRequest\x12!\n\x0cchallenge_id\x18\x01 \x01(\tR\x0bchalle\
ngeId\x12\x17\n\x07goal_id\x18\x02 \x01(\tR\x06goalId\"\x8e\x01\n\x13ClaimRewardResponse\x12\x17\n\x07\
goal_id\x18\x01 \x01(\tR\x06goalId\x12\x16\n\x06status\x18\x02 \x01(\tR\x06status\x12\'\n\x06reward\x18\
\x03 \x01(\x0b2\x0f.service.RewardR\x06reward\x12\x1d\n\nclaimed_at\x18\x04 \x01(\tR\tclaimedAt\"}\n\
\x12BatchSelectRequest\x12!\n\x0cchallenge_id\x18\x01 \x01(\tR\x0bchallengeId\x12\x19\n\x08goal_ids\x18\
\x02 \x03(\tR\x07goalIds\x12)\n\x10replace_existing\x18\x03 \x01(\x08R\x0freplaceExisting\"\xa0\x01\n\
\x13RandomSelectRequest\x12!\n\x0cchallenge_id\x18\x01 \x01(\tR\x0bchallengeId\x12\x14\n\x05count\x18\
\x02 \x01(\x05R\x05count\x12)\n\x10replace_existing\x18\x03 \x01(\x08R\x0freplaceExisting\x12%\n\x0e\
exclude_active\x18\x04 \x01(\x08R\rexcludeActive\"\xcd\x01\n\x15GoalSelectionResponse\x12<\n\x0esele\
cted_goals\x18\x01 \x03(\x0b2\x15.service.SelectedGoalR\rselectedGoals\x12!\n\x0cchallenge_id\x18\x02\
\x20\x01(\tR\x0bchallengeId\x12,\n\x12total_active_goals\x18\x03 \x01(\x05R\x10totalActiveGoals\x12%\
\n\x0ereplaced_goals\x18\x04 \x03(\tR\rreplacedGoals\"=\n\x18GetRotationStatusRequest\x12!\n\x0cchal\
lenge_id\x18\x01 \x01(\tR\x0bchallengeId\"q\n\x19GetRotationStatusResponse\x12!\n\x0cchallenge_id\x18\
\x01 \x01(\tR\x0bchallengeId\x121\n\x08rotation\x18\x02 \x01(\x0b2\x15.service.RotationInfoR\x08rota\
tion\"\x14\n\x12HealthCheckRequest\"-\n\x13HealthCheckResponse\x12\x16\n\x06status\x18\x01 \x01(\tR\x06\
status\"\x89\x01\n\tChallenge\x12!\n\x0cchallenge_id\x18\x01 \x01(\tR\x0bchallengeId\x12\x12\n\x04na\
me\x18\x02 \x01(\tR\x04name\x12 \n\x0bdescription\x18\x03 \x01(\tR\x0bdescription\x12#\n\x05goals\x18\
\x04 \x03(\x0b2\r.service.GoalR\x05goals\"\xf5\x03\n\x04Goal\x12\x17\n\x07goal_id\x18\x01 \x01(\tR\x06\
goalId\x12\x12\n\x04name\x18\x02 \x01(\tR\x04name\x12 \n\x0bdescription\x18\x03 \x01(\tR\x0bdescript\
ion\x126\n\x0brequirement\x18\x04 \x01(\x0b2\x14.service.RequirementR\x0brequirement\x12\'\n\x06rewa\
rd\x18\x05 \x01(\x0b2\x0f.service.RewardR\x06reward\x12$\n\rprerequisites\x18\x06 \x03(\tR\rprerequi\
sites\x12\x1a\n\x08progress\x18\x07 \x01(\x05R\x08progress\x12\x16\n\x06status\x18\x08 \x01(\tR\x06s\
tatus\x12\x16\n\x06locked\x18\t \x01(\x08R\x06locked\x12!\n\x0ccompleted_at\x18\n \x01(\tR\x0bcomple\
tedAt\x12\x1d\n\nclaimed_at\x18\x0b \x01(\tR\tclaimedAt\x12\x1b\n\tis_active\x18\x0c \x01(\x08R\x08i\
sActive\x12\x1d\n\nexpires_at\x18\r \x01(\tR\texpiresAt\x12,\n\x12expires_in_seconds\x18\x0e \x01(\x05\
R\x10expiresInSeconds\x12\x1f\n\x0bclaim_state\x18\x0f \x01(\tR\nclaimState\"\x8a\x03\n\x0cAssignedG\
oal\x12!\n\x0cchallenge_id\x18\x01 \x01(\tR\x0bchallengeId\x12\x17\n\x07goal_id\x18\x02 \x01(\tR\x06\
goalId\x12\x12\n\x04name\x18\x03 \x01(\tR\x04name\x12 \n\x0bdescription\x18\x04 \x01(\tR\x0bdescript\
ion\x12\x1b\n\tis_active\x18\x05 \x01(\x08R\x08isActive\x12\x1f\n\x0bassigned_at\x18\x06 \x01(\tR\na\
ssignedAt\x12\x1d\n\nexpires_at\x18\x07 \x01(\tR\texpiresAt\x12\x1a\n\x08progress\x18\x08 \x01(\x05R\
\x08progress\x12\x16\n\x06target\x18\t \x01(\x05R\x06target\x12\x16\n\x06status\x18\n \x01(\tR\x06st\
atus\x126\n\x0brequirement\x18\x0b \x01(\x0b2\x14.service.RequirementR\x0brequirement\x12\'\n\x06rew\
ard\x18\x0c \x01(\x0b2\x0f.service.RewardR\x06reward\"\xe7\x02\n\x0cSelectedGoal\x12\x17\n\x07goal_i\
d\x18\x01 \x01(\tR\x06goalId\x12\x12\n\x04name\x18\x02 \x01(\tR\x04name\x12 \n\x0bdescription\x18\x03\
\x20\x01(\tR\x0bdescription\x126\n\x0brequirement\x18\x04 \x01(\x0b2\x14.service.RequirementR\x0breq\
uirement\x12\'\n\x06reward\x18\x05 \x01(\x0b2\x0f.service.RewardR\x06reward\x12\x16\n\x06status\x18\x06\
\x20\x01(\tR\x06status\x12\x1a\n\x08progress\x18\x07 \x01(\x05R\x08progress\x12\x16\n\x06target\x18\x08\
\x20\x01(\x05R\x06target\x12\x1b\n\tis_active\x18\t \x01(\x08R\x08isActive\x12\x1f\n\x0bassigned_at\x18\
\n \x01(\tR\nassignedAt\x12\x1d\n\nexpires_at\x18\x0b \x01(\tR\texpiresAt\"i\n\x0bRequirement\x12\x1b\
\n\tstat_code\x18\x01 \x01(\tR\x08statCode\x12\x1a\n\x08operator\x18\x02 \x01(\tR\x08operator\x12!\n\
\x0ctarget_value\x18\x03 \x01(\x05R\x0btargetValue\"U\n\x06Reward\x12\x12\n\x04type\x18\x01 \x01(\tR\
\x04type\x12\x1b\n\treward_id\x18\x02 \x01(\tR\x08rewardId\x12\x1a\n\x08quantity\x18\x03 \x01(\x05R\x08\
quantity\"\xd2\x01\n\x0cRotationInfo\x12\x18\n\x07enabled\x18\x01 \x01(\x08R\x07enabled\x12\x12\n\x04\
type\x18\x02 \x01(\tR\x04type\x12\x1a\n\x08schedule\x18\x03 \x01(\tR\x08schedule\x12>\n\x0ecurrent_p\
eriod\x18\x04 \x01(\x0b2\x17.service.RotationPeriodR\rcurrentPeriod\x128\n\x0bnext_period\x18\x05 \x01\
(\x0b2\x17.service.RotationPeriodR\nnextPeriod\"x\n\x0eRotationPeriod\x12\x1d\n\nstart_time\x18\x01 \
\x01(\tR\tstartTime\x12\x19\n\x08end_time\x18\x02 \x01(\tR\x07endTime\x12,\n\x12expires_in_seconds\x18\
\x03 \x01(\x05R\x10expiresInSeconds2\xfa\x06\n\x07Service\x12R\n\x11GetUserChallenges\x12\x1d.servic\
e.GetChallengesRequest\x1a\x1e.service.GetChallengesResponse\x12D\n\x10GetUserChallenge\x12\x1c.serv\
ice.GetChallengeRequest\x1a\x12.service.Challenge\x12K\n\x10InitializePlayer\x12\x1a.service.Initial\
izeRequest\x1a\x1b.service.InitializeResponse\x12N\n\rSetGoalActive\x12\x1d.service.SetGoalActiveReq\
uest\x1a\x1e.service.SetGoalActiveResponse\x12L\n\x0fClaimGoalReward\x12\x1b.service.ClaimRewardRequ\
est\x1a\x1c.service.ClaimRewardResponse\x12O\n\x10BatchSelectGoals\x12\x1b.service.BatchSelectReques\
t\x1a\x1e.service.GoalSelectionResponse\x12Q\n\x11RandomSelectGoals\x12\x1c.service.RandomSelectRequ\
est\x1a\x1e.service.GoalSelectionResponse\x12Z\n\x11GetRotationStatus\x12!.service.GetRotationStatus\
Request\x1a\".service.GetRotationStatusResponse\x12H\n\x0bHealthCheck\x12\x1b.service.HealthCheckReq\
uest\x1a\x1c.service.HealthCheckResponse\x12R\n\x12GetCatalogueStatus\x12\".service.GetCatalogueStat\
usRequest\x1a\x18.service.CatalogueStatus\x12L\n\x0fReloadCatalogue\x12\x1f.service.ReloadCatalogueR\
equest\x1a\x18.service.CatalogueStatusb\x06proto3\n\xfb\x01\n\x1egoogle/protobuf/duration.proto\x12\x0f\
google.protobuf\":\n\x08Duration\x12\x18\n\x07seconds\x18\x01 \x01(\x03R\x07seconds\x12\x14\n\x05nan\
os\x18\x02 \x01(\x05R\x05nanosB\x83\x01\n\x13com.google.protobufB\rDurationProtoP\x01Z1google.golang\
.org/protobuf/types/known/durationpb\xf8\x01\x01\xa2\x02\x03GPB\xaa\x02\x1eGoogle.Protobuf.WellKnown\
Typesb\x06proto3\n\xd9\x02\n\x1egoogle/rpc/error_details.proto\x12\ngoogle.rpc\x1a\x1egoogle/protobu\
f/duration.proto\"\xb9\x01\n\tErrorInfo\x12\x16\n\x06reason\x18\x01 \x01(\tR\x06reason\x12\x16\n\x06\
domain\x18\x02 \x01(\tR\x06domain\x12?\n\x08metadata\x18\x03 \x03(\x0b2#.google.rpc.ErrorInfo.Metada\
taEntryR\x08metadata\x1a;\n\rMetadataEntry\x12\x10\n\x03key\x18\x01 \x01(\tR\x03key\x12\x14\n\x05val\
ue\x18\x02 \x01(\tR\x05value:\x028\x01\"G\n\tRetryInfo\x12:\n\x0bretry_delay\x18\x01 \x01(\x0b2\x19.\
google.protobuf.DurationR\nretryDelayb\x06proto3\n\xe4\x01\n\x19google/protobuf/any.proto\x12\x0fgoo\
gle.protobuf\"6\n\x03Any\x12\x19\n\x08type_url\x18\x01 \x01(\tR\x07typeUrl\x12\x14\n\x05value\x18\x02\
\x20\x01(\x0cR\x05valueBv\n\x13com.google.protobufB\x08AnyProtoP\x01Z,google.golang.org/protobuf/typ\
es/known/anypb\xa2\x02\x03GPB\xaa\x02\x1eGoogle.Protobuf.WellKnownTypesb\x06proto3\n\xb0\x01\n\x17go\
ogle/rpc/status.proto\x12\ngoogle.rpc\x1a\x19google/protobuf/any.proto\"f\n\x06Status\x12\x12\n\x04c\
ode\x18\x01 \x01(\x05R\x04code\x12\x18\n\x07message\x18\x02 \x01(\tR\x07message\x12.\n\x07details\x18\
\x03 \x03(\x0b2\x14.google.protobuf.AnyR\x07detailsb\x06proto3"
