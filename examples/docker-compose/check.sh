#!/bin/sh
# Asserts that each tenant sees its own data and nothing of the other's. Asks $QUERY (Envoy); $BEHIND (Thanos) must not answer
# from here. Prints a line for each assertion; exits 0 where all hold. Needs a POSIX shell and curl.
set -u

: "${QUERY:?the URL of Envoy}" "${BEHIND:?the URL of what is behind it}"
patience=${PATIENCE:-120}
failed=0

# What each tenant has, and what it must never be told.
own_of() { case $1 in team-a) echo checkout ;; team-b) echo billing ;; esac }
foreign_to() { case $1 in team-a) echo 'team-b|[Bb]illing' ;; team-b) echo 'team-a|[Cc]heckout' ;; esac }

pass() { printf 'ok      %s\n' "$1"; }
fail() {
    printf 'FAILED  %s\n        %s\n' "$1" "$2"
    failed=$((failed + 1))
}

# ask TENANT PATH [CURL ARGUMENT...]: the answer, and its status on a line of its own.
ask() {
    tenant=$1 path=$2
    shift 2
    curl --silent --max-time 10 --write-out '\n%{http_code}' --header "THANOS-TENANT: $tenant" "$@" "$QUERY$path"
}

# sees TENANT WHAT PATTERN PATH [CURL ARGUMENT...]: the answer is a success, matches PATTERN, and holds nothing foreign.
sees() {
    tenant=$1 what="$1: $2" pattern=$3 path=$4
    shift 4
    answer=$(ask "$tenant" "$path" "$@")
    case $answer in
    *"
200") ;;
    *) fail "$what" "$answer" && return ;;
    esac
    if printf %s "$answer" | grep -Eq "$(foreign_to "$tenant")"; then
        fail "$what: holds the other tenant's data" "$answer"
    elif ! printf %s "$answer" | grep -Eq "$pattern"; then
        fail "$what: does not match $pattern" "$answer"
    else
        pass "$what"
    fi
}

# answers STATUS WHAT CURL ARGUMENT...
answers() {
    expected=$1 what=$2
    shift 2
    status=$(curl --silent --max-time 10 --output /dev/null --write-out '%{http_code}' "$@")
    if [ "$status" = "$expected" ]; then pass "$what: $status"; else fail "$what" "$status instead of $expected"; fi
}

# Until both have been scraped and their rules evaluated, for $PATIENCE seconds.
waited=0
for tenant in team-a team-b; do
    until ask "$tenant" /api/v1/query --data-urlencode 'query=ALERTS{alertstate="firing"} and on () (sum(up) >= 2)' | grep -q firing; do
        waited=$((waited + 1))
        if [ "$waited" -gt "$patience" ]; then
            fail "$tenant has no data after $patience seconds" "$(ask "$tenant" /api/v1/query --data-urlencode query=up)"
            exit 1
        fi
        sleep 1
    done
done

for tenant in team-a team-b; do
    own=$(own_of "$tenant")
    case $tenant in team-a) other=team-b ;; *) other=team-a ;; esac
    query=/api/v1/query
    sees "$tenant" "its own series" "\"service\":\"$own\"" $query --get --data-urlencode 'query=up'
    sees "$tenant" "the same by POST" "\"service\":\"$own\"" $query --data-urlencode 'query=up'
    # Each has two targets; both together have four.
    sees "$tenant" "a sum over its own" '"2"' $query --data-urlencode 'query=count(up)'
    sees "$tenant" "asking for the other" "\"$tenant\"" $query --data-urlencode "query=group by (tenant_id) (up{tenant_id='$other'})"
    sees "$tenant" "asking for all" "\"$tenant\"" $query --data-urlencode 'query=group by (tenant_id) (up{tenant_id=~".+"})'
    sees "$tenant" "in an aggregation's parameter" '"1"' $query --data-urlencode 'query=count(topk(scalar(count(up)) - 1, up))'
    sees "$tenant" "in a subquery" "\"$own\"" $query --data-urlencode 'query=max_over_time(sum by (service) (up)[1m:1s])'
    sees "$tenant" "over a range" "\"$own\"" /api/v1/query_range \
        --data-urlencode 'query=sum by (service) (up)' --data "start=$(($(date +%s) - 60))" --data "end=$(date +%s)" --data step=5
    sees "$tenant" "series" "\"$own\"" /api/v1/series --get --data-urlencode 'match[]=up'
    sees "$tenant" "label values" "\"$own\"" /api/v1/label/service/values
    sees "$tenant" "its name and no other" "\\[\"$tenant\"\\]" /api/v1/label/tenant_id/values
    sees "$tenant" "labels" '"service"' /api/v1/labels
    sees "$tenant" "rules" "\"name\":\"$own\"" /api/v1/rules
    sees "$tenant" "alerts" '"success"' /api/v1/alerts
    answers 403 "$tenant: the list of targets" --header "THANOS-TENANT: $tenant" "$QUERY/api/v1/targets"
    answers 403 "$tenant: the list of stores" --header "THANOS-TENANT: $tenant" "$QUERY/api/v1/stores"
    answers 404 "$tenant: the web pages" --header "THANOS-TENANT: $tenant" "$QUERY/graph"
done
answers 401 "nobody" "$QUERY/api/v1/query?query=up"
answers 401 "the empty tenant" --header 'THANOS-TENANT;' "$QUERY/api/v1/query?query=up"
answers 400 "two tenants" --header 'THANOS-TENANT: team-a' --header 'THANOS-TENANT: team-b' "$QUERY/api/v1/query?query=up"
answers 200 "a third tenant" --header 'THANOS-TENANT: team-c' "$QUERY/api/v1/query?query=up"
answers 000 "Thanos itself, past Envoy" "$BEHIND/api/v1/query?query=up"

if [ "$failed" -gt 0 ]; then
    echo "$failed assertions failed"
    exit 1
fi
echo "all assertions hold"
