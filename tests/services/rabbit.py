"""A private RabbitMQ, with a standing Erlang control node beside it.

`rabbitmqctl` starts an Erlang machine for every word (about a second); the control node answers in
milliseconds, so each test can have a vhost of its own.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from typing import Any

from tests.services.binaries import program
from tests.services.server import Server, free_port

USER = "guest"

#: Reads Erlang expressions, one a line, has the server evaluate them, answers `ok TERM` or `error TERM`.
CONTROL = """
    Node = '{node}',
    Evaluate = fun(Line) ->
        {{ok, Tokens, _}} = erl_scan:string(Line),
        {{ok, Expressions}} = erl_parse:parse_exprs(Tokens),
        {{value, Value, _}} = erpc:call(Node, erl_eval, exprs, [Expressions, []], 30000),
        Value
    end,
    Loop = fun(Again) ->
        case io:get_line("") of
            eof -> halt(0);
            Line ->
                try Evaluate(Line) of
                    Value -> io:format("ok ~0p~n", [Value])
                catch _:Reason -> io:format("error ~0p~n", [Reason])
                end,
                Again(Again)
        end
    end,
    Loop(Loop).
"""


class RabbitMQ(Server):
    name = "RabbitMQ"

    def prepare(self) -> None:
        self.node = f"beatd{self.port}@localhost"
        self.cookie = secrets.token_hex(16)
        self.name_server_port = free_port()
        self._name_server: subprocess.Popen[bytes] | None = None
        self._control: subprocess.Popen[str] | None = None
        (self.folder / "plugins").write_text("[].\n")
        (self.folder / "rabbitmq.conf").write_text(
            "vm_memory_high_watermark.absolute = 2GB\ndisk_free_limit.absolute = 50MB\n"
        )

    def launch(self) -> subprocess.Popen[bytes]:
        self._start_name_server()
        return self.spawn([program("rabbitmq-server")], env=self._environment())

    def ask_version(self) -> str:
        version = self.eval("rabbit:await_startup(), list_to_binary(rabbit_misc:version()).")
        return version.removeprefix('<<"').removesuffix('">>')

    def ask_to_stop(self) -> None:
        # What SIGTERM means to the Erlang machine; its shell script would start rabbitmqctl to say the same.
        self.eval("init:stop().")

    def url(self, vhost: str) -> str:
        return f"amqp://{USER}:{USER}@127.0.0.1:{self.port}/{vhost}"

    def create_vhost(self) -> str:
        name = self.next_name()
        self.eval(f'rabbit_vhost:add(<<"{name}">>, <<"{USER}">>).')
        self.eval(
            f'rabbit_auth_backend_internal:set_permissions(<<"{USER}">>, <<"{name}">>,'
            f' <<".*">>, <<".*">>, <<".*">>, <<"{USER}">>).'
        )
        return name

    def delete_vhost(self, name: str) -> None:
        self.eval(f'rabbit_vhost:delete(<<"{name}">>, <<"{USER}">>).')

    def eval(self, expressions: str) -> str:
        """Have the server evaluate Erlang (`rabbitmqctl eval`); the printed value. Raises RuntimeError."""
        control = self._started_control()
        assert control.stdin is not None
        assert control.stdout is not None
        control.stdin.write(expressions.replace("\n", " ") + "\n")
        control.stdin.flush()
        verdict, _, value = control.stdout.readline().strip().partition(" ")
        if verdict != "ok":
            raise RuntimeError(f"{expressions}: {value or 'no answer'}")
        return value

    def _environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(self.name_server_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                f"-setcookie {self.cookie} -kernel inet_dist_use_interface {{127,0,0,1}}"
            ),
        }

    def _start_name_server(self) -> None:
        # Started by us, in the foreground: RabbitMQ's own would be a daemon that nobody ends.
        if self._name_server is None or self._name_server.poll() is not None:
            command = [program("epmd"), "-address", "127.0.0.1", "-port", str(self.name_server_port)]
            self._name_server = self.spawn(command, env=self._environment())
            self.keeper.watch(self._name_server.pid)

    def _started_control(self) -> subprocess.Popen[str]:
        if self._control is None or self._control.poll() is not None:
            self._control = self._start_control()
            self.keeper.watch(self._control.pid)
        return self._control

    def _start_control(self) -> subprocess.Popen[Any]:
        node = f"control{self.port}@localhost"
        interface = ["-kernel", "inet_dist_use_interface", "{127,0,0,1}"]
        identity = ["-sname", node, "-hidden", "-setcookie", self.cookie]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [program("erl"), "-noshell", *identity, *interface, "-eval", CONTROL.format(node=self.node)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
                cwd=self.folder,
                env={**os.environ, **self._environment()},
            )
